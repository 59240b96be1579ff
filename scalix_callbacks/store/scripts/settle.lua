-- settle: replace what a call held by what it used, and hand its record to the outbox. Once per call.
--
-- KEYS[1]  hash of the account's counters
-- KEYS[2]  hash of the worker's open calls in this shard: call id -> open call
-- KEYS[3]  stream: the shard's outbox
-- KEYS[4]  string: the request it was an attempt of; KEYS[1] when it was of none
-- KEYS[5]  string: what is left of the call when it ended out of order
-- KEYS[6]  sorted set of the shard's workers: worker id -> end of its lease, ms
--
-- ARGV[1]  call id
-- ARGV[2]  worker id, the one KEYS[2] belongs to
-- ARGV[3]  the moment, ms; empty: Redis' own clock
-- ARGV[4]  how: "settle"   by its worker;
--               "abandon"  by another one, when its worker's lease lapsed: charges what the prompt was held for;
--               "release"  its admission is unknown: gives all back, leaves no record, and bars an admission
--                          that still is on its way;
--               "drain"    it was admitted without the store: what it used is counted whatever the limits
-- ARGV[5]  1 when the call counts as a request, else 0
-- ARGV[6]  tokens used
-- ARGV[7]  nano-USD used
-- ARGV[8]  its record (opaque)
-- ARGV[9]  how long KEYS[5] lives, ms
-- ARGV[10] how long the outbox outlives its last entry, ms
-- ARGV[11] for "drain": counters, words {id amount}
--
-- Returns words:
--   "settled now_ms counted {counter amount start_ms used held}"   counted 1: it was the one that counts
--   "gone"    nothing is open under this id: settled already
--   "alive"   only for "abandon": its worker has a lease
-- The outbox entry has the fields record, counted (0 | 1), late (0 | 1: replaces the record of a call given up).
--
-- Holds to: takes effect once per call, and once more after it was abandoned, then with the difference. Amounts
-- go to the window of the admission; one that is over takes nothing; one that emptied meanwhile is taken up again,
-- or is the one that runs instead. Nothing stays held.
local call, worker, now, how = ARGV[1], ARGV[2], clock_ms(ARGV[3]), ARGV[4]
local is_counted = ARGV[5] == '1'
local used_of = {requests = 0, tokens = tonumber(ARGV[6]), usd = tonumber(ARGV[7])}

if how == 'abandon' then
  local lease = redis.call('ZSCORE', KEYS[6], worker)
  if lease and tonumber(lease) > now then return 'alive' end
end

local stored = redis.call('HGET', KEYS[2], call)
local is_open, is_late = stored, false
if not is_open then
  if how == 'abandon' then return 'gone' end
  stored = redis.call('GET', KEYS[5])
  if not stored and how == 'release' then redis.call('SET', KEYS[5], '-', 'PX', ARGV[9]) end
  if not stored and how == 'drain' then
    local holds = {}
    for id, amount in string.gmatch(ARGV[11], '(%S+) (%S+)') do
      local row = row_of(redis.call('HGET', KEYS[1], id), id, now)
      holds[#holds + 1] = id .. ' ' .. whole(row.start) .. ' 0 0 0 ' .. amount
    end
    stored = KEYS[1] .. ' - - -\n' .. table.concat(holds, ' ') .. '\n'
    redis.call('SET', KEYS[5], '-', 'PX', ARGV[9])
  elseif not stored or stored == '-' or how == 'release' then
    return 'gone'
  else
    is_late = true
  end
end
local counters_key, group_key, till, body = string.match(stored, '^(%S+) (%S+) (%S+) %S+\n([^\n]*)\n')
if counters_key ~= KEYS[1] or (group_key ~= '-' and group_key ~= KEYS[4]) then
  return redis.error_reply('SCALIX the call was admitted for another account or attempt')
end
if is_open then redis.call('HDEL', KEYS[2], call) end
if is_late then redis.call('DEL', KEYS[5]) end

local function change(id, start, used, held)
  if used == 0 and held == 0 then return end
  local raw = redis.call('HGET', KEYS[1], id)
  local row = row_of(raw, id, now)
  if raw and tonumber(string.match(raw, '^%-?%d+')) == start then
    -- Its own window, also when that is over: the clock may step back into it.
    row = row_of(raw, id, start)
    row.used, row.held = math.max(row.used + used, 0), math.max(row.held + held, 0)
  elseif used > 0 and start + window_ms(id) > now then
    if not row.is_kept then row.start = start end
    row.used = row.used + used
  else
    return
  end
  if row.used == 0 and row.held == 0 then
    redis.call('HDEL', KEYS[1], id)
  else
    redis.call('HSET', KEYS[1], id, words_of(row))
    outlive(KEYS[1], math.max(row.start + window_ms(id) - now, 1))
  end
end

-- The request: its group's, or its own.
local counted = is_counted and 1 or 0
local group = group_key ~= '-' and group_of(redis.call('GET', KEYS[4])) or nil
if group and whole(group.till) ~= till then group = nil end -- another request under the same id
if group then
  if not is_late then group.open = group.open - 1 end
  if is_counted and group.state == 'used' then
    counted = 0
  elseif is_counted then
    local held = group.state == 'held' and -1 or 0
    for id, start in pairs(group.starts) do change(id, start, 1, held) end
    group.state = 'used'
  elseif group.open == 0 and group.state == 'held' then
    for id, start in pairs(group.starts) do change(id, start, 0, -1) end
    group.state = 'back'
  end
  if group.open > 0 then
    redis.call('SET', KEYS[4], words_of_group(group), 'KEEPTTL')
  elseif group.till > now then
    redis.call('SET', KEYS[4], words_of_group(group), 'PX', whole(group.till - now))
  else
    redis.call('DEL', KEYS[4])
  end
else
  used_of.requests = counted
end

local left, standings = {}, {}
for id, start, held, base, used, amount in string.gmatch(body, '(%S+) (%-?%d+) (%d+) (%d+) (%d+) (%S+)') do
  local now_used = used_of[unit_of(id)]
  if how == 'abandon' then now_used = tonumber(base) end
  change(id, tonumber(start), now_used - tonumber(used), -tonumber(held))
  left[#left + 1] = table.concat({id, start, '0', '0', whole(now_used), amount}, ' ')
  standings[#standings + 1] = id .. ' ' .. amount .. ' ' .. words_of(row_of(redis.call('HGET', KEYS[1], id), id, now))
end

if how == 'abandon' then
  redis.call('SET', KEYS[5], KEYS[1] .. ' ' .. group_key .. ' ' .. till .. ' -\n' .. table.concat(left, ' ') .. '\n',
             'PX', ARGV[9])
end
if how ~= 'release' then
  redis.call('XADD', KEYS[3], '*', 'record', ARGV[8], 'counted', counted, 'late', is_late and 1 or 0)
  redis.call('PEXPIRE', KEYS[3], ARGV[10])
end
return table.concat({'settled', whole(now), counted, unpack(standings)}, ' ')
