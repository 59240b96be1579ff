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
--                          that still is on its way; of a call given up meanwhile the record is replaced;
--               "drain"    it was admitted without the store: what it used is counted whatever the limits
-- ARGV[5]  1 when the call counts as a request, else 0
-- ARGV[6]  tokens used
-- ARGV[7]  nano-USD used
-- ARGV[8]  its record (opaque); empty: it leaves none
-- ARGV[9]  how long KEYS[5] lives, ms
-- ARGV[10] how long the outbox outlives its last entry, ms
-- ARGV[11] for "drain": counters, words {id amount}
--
-- Returns words:
--   "settled now_ms counted {counter amount start_ms used held}"   counted 1: it was the one that counts
--   "gone"    nothing is open under this id: settled already
--   "alive"   only for "abandon": its worker has a lease
-- The outbox entry has the fields record, counted (0 | 1), late (0 | 1: replaces the record of a call given up, or
-- one that its worker handed in itself and that says it counts).
--
-- Holds to: takes effect once per call, and once more after it was abandoned, then with the difference. Amounts
-- go to the window of the admission; one that is over takes nothing; one that emptied meanwhile is taken up again,
-- or is the one that runs instead. Nothing stays held.
local call, worker, now, how = ARGV[1], ARGV[2], clock_ms(ARGV[3]), ARGV[4]
local now_word = whole(now)
local is_counted = ARGV[5] == '1'
local used_of = {requests = 0, tokens = tonumber(ARGV[6]), usd = tonumber(ARGV[7])}

if how == 'abandon' then
  local lease = redis.call('ZSCORE', KEYS[6], worker)
  if lease and tonumber(lease) > now then return 'alive' end
end

-- The counters are read once and written once; between that, `rows` has them as they are to be.
local rows = rows_of(KEYS[1])
local stored = redis.call('HGET', KEYS[2], call)
local is_open, is_late = stored, false
if not is_open then
  if how == 'abandon' then return 'gone' end
  stored = redis.call('GET', KEYS[5])
  if not stored and how == 'release' then redis.call('SET', KEYS[5], '-', 'PX', ARGV[9]) end
  if not stored and how == 'drain' then
    local holds = {}
    for id, amount in string.gmatch(ARGV[11], '(%S+) (%S+)') do
      local start = row_of(rows[id], window_ms(id), now, now_word)
      holds[#holds + 1] = id .. ' ' .. start .. ' 0 0 0 ' .. amount
    end
    stored = KEYS[1] .. ' - - -\n' .. table.concat(holds, ' ') .. '\n'
  elseif not stored or stored == '-' then
    return 'gone'
  else
    is_late = true
  end
end
-- Not one pattern for all of it: to look for the ends of the lines costs less than to match what is between them.
local counters_key, group_key, till = string.match(stored, '^(%S+) (%S+) (%S+)')
if counters_key ~= KEYS[1] or (group_key ~= '-' and group_key ~= KEYS[4]) then
  return redis.error_reply('SCALIX the call was admitted for another account or attempt')
end
local head_end = string.find(stored, '\n', 1, true)
local holds = string.sub(stored, head_end + 1, string.find(stored, '\n', head_end + 1, true) - 1)
if is_open then redis.call('HDEL', KEYS[2], call) end
if how == 'drain' then
  -- However it was found: said again it would be counted as never admitted, and its admission may yet come.
  redis.call('SET', KEYS[5], '-', 'PX', ARGV[9])
elseif is_late then
  redis.call('DEL', KEYS[5])
end

-- Ids, and when the last of their windows ends; a window that is over is kept for a moment.
local changed, last_end = {}, now + 1

-- Adds to a counter, in the window that began at `start`; returns the words of it as it stands then.
local function change(id, window, start, used, held)
  local row_start, row_used, row_held, words = nil, 0, 0, rows[id]
  if words then row_start, row_used, row_held = string.match(words, ROW) end
  local is_kept = row_start and row_start + window > now
  local is_changed = used ~= 0 or held ~= 0
  if is_changed and row_start == start then
    -- Its own window, also when that is over: the clock may step back into it.
    row_used, row_held = math.max(row_used + used, 0), math.max(row_held + held, 0)
  elseif used > 0 and start + window > now then
    if not is_kept then row_start, row_used, row_held, is_kept = start, 0, 0, true end
    row_used = row_used + used
  else
    is_changed = false
  end
  if is_changed then
    changed[#changed + 1] = id
    if row_used + row_held == 0 then
      words, is_kept = nil, false
    else
      words = row_start .. ' ' .. whole(row_used) .. ' ' .. whole(row_held)
      last_end = math.max(last_end, row_start + window)
    end
    rows[id] = words
  end
  return is_kept and words or now_word .. ' 0 0'
end

-- The request: its group's, or its own.
local counted = is_counted and '1' or '0'
local group = group_key ~= '-' and group_of(redis.call('GET', KEYS[4])) or nil
if group and whole(group.till) ~= till then group = nil end -- another request under the same id
if group then
  if not is_late then group.open = group.open - 1 end
  if is_counted and group.state == 'used' then
    counted = '0'
  elseif is_counted then
    local held = group.state == 'held' and -1 or 0
    for id, start in pairs(group.starts) do change(id, window_ms(id), start, 1, held) end
    group.state = 'used'
  elseif group.open == 0 and group.state == 'held' then
    for id, start in pairs(group.starts) do change(id, window_ms(id), start, 0, -1) end
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
  used_of.requests = tonumber(counted)
end

local left, told = {}, {'settled', now_word, counted}
for id, unit, window_s, start, held, base, used, amount in
  string.gmatch(holds, '((%a+):(%d+)) (%-?%d+) (%d+) (%d+) (%d+) (%S+)') do
  local now_used = used_of[unit]
  if how == 'abandon' then
    now_used = tonumber(base)
    left[#left + 1] = id .. ' ' .. start .. ' 0 0 ' .. base .. ' ' .. amount
  end
  told[#told + 1] = id .. ' ' .. amount .. ' ' .. change(id, window_s * 1000, start, now_used - used, -held)
end

-- Written first, emptied then: a hash without a field, even for a moment, would lose its time to live.
if #changed > 0 then
  local set, emptied = {}, {}
  for i = 1, #changed do
    local id = changed[i]
    if rows[id] then
      set[#set + 1] = id
      set[#set + 1] = rows[id]
    else
      emptied[#emptied + 1] = id
    end
  end
  if #set > 0 then
    redis.call('HSET', KEYS[1], unpack(set))
    outlive(KEYS[1], last_end - now)
  end
  if #emptied > 0 then redis.call('HDEL', KEYS[1], unpack(emptied)) end
end

if how == 'abandon' then
  redis.call('SET', KEYS[5], KEYS[1] .. ' ' .. group_key .. ' ' .. till .. ' -\n' .. table.concat(left, ' ') .. '\n',
             'PX', ARGV[9])
end
if ARGV[8] ~= '' and (how ~= 'release' or is_late) then
  local late = (is_late or counted ~= ARGV[5]) and '1' or '0'
  redis.call('XADD', KEYS[3], '*', 'record', ARGV[8], 'counted', counted, 'late', late)
  redis.call('PEXPIRE', KEYS[3], ARGV[10])
end
return table.concat(told, ' ')
