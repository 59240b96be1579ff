-- admit: hold what a call may use on all its counters at once, or nothing at all.
--
-- KEYS[1]  hash of the account's counters
-- KEYS[2]  hash of the worker's open calls in this shard: call id -> open call
-- KEYS[3]  sorted set of the shard's workers: worker id -> end of its lease, ms
-- KEYS[4]  string: the request this call is an attempt of; KEYS[1] when it is of none
-- KEYS[5]  string: there when the call was ended before it began
--
-- ARGV[1]  call id
-- ARGV[2]  worker id
-- ARGV[3]  the moment, ms; empty: Redis' own clock
-- ARGV[4]  output tokens asked for; empty: as many as there are
-- ARGV[5]  fewest output tokens worth a call that asks for more
-- ARGV[6]  counters, words: {id amount base per_output}; amount "-": only counted; base is held whatever the
--          output, per_output for each token of it (tokens, requests or nano-USD, by the id's unit)
-- ARGV[7]  memo: what accounts for the call should its worker die (opaque)
-- ARGV[8]  number of the attempt, 1 to 3; empty: of none
-- ARGV[9]  hash of the attempt's body, one word
-- ARGV[10] for how long after its first attempt a request takes more of them, ms
-- ARGV[11] how long a lease lives, ms
-- ARGV[12] how long KEYS[2] and KEYS[3] outlive their last use, ms
--
-- Returns words, with {start_ms used held} for each counter, in the order asked:
--   "admitted now_ms output {…}"                     output "-": not limited
--   "denied now_ms counter retry_at_ms reason {…}"   retry_at_ms "-": never; reason used, held or too_large
--   "ended"                                          the call was released before this came
--
-- Holds to: used + held <= amount on every counter it takes from. A refusal writes nothing. A window starts with
-- the first call kept in it. Attempts of one request hold and count it once. Said twice, a call holds once.
local call, worker, now = ARGV[1], ARGV[2], clock_ms(ARGV[3])
local output, least_output = tonumber(ARGV[4]) or math.huge, tonumber(ARGV[5])
local lease_ms, keep_ms = tonumber(ARGV[11]), ARGV[12]
-- Nothing is limited by it, so that it may be less than what was asked for; sums of it stay exact.
local MOST_ONLY_COUNTED = 2 ^ 43

local counters, ids = {}, {}
for id, amount, base, per_output in string.gmatch(ARGV[6], '(%S+) (%S+) (%d+) (%d+)') do
  ids[#ids + 1] = id
  local counter = {id = id, amount = tonumber(amount), base = tonumber(base), per_output = tonumber(per_output),
                   is_request = unit_of(id) == 'requests'}
  if not counter.amount then counter.base = math.min(counter.base, MOST_ONLY_COUNTED) end
  counters[#counters + 1] = counter
end
local stored = #ids > 0 and redis.call('HMGET', KEYS[1], unpack(ids)) or {}
for i, counter in ipairs(counters) do counter.row = row_of(stored[i], counter.id, now) end

local function answer(...)
  local words = {...}
  for _, counter in ipairs(counters) do words[#words + 1] = words_of(counter.row) end
  return table.concat(words, ' ')
end

if redis.call('EXISTS', KEYS[5]) == 1 then return 'ended' end
local before = redis.call('HGET', KEYS[2], call)
if before then return answer('admitted', whole(now), string.match(before, '^%S+ %S+ %S+ (%S+)')) end

-- The request this is an attempt of. Without one, or when it cannot join, the call is a request of its own.
local group, bit = nil, 0
if ARGV[8] ~= '' then
  bit = 2 ^ tonumber(ARGV[8])
  group = group_of(redis.call('GET', KEYS[4]))
  local is_over = group and now >= group.till
  if not group or (is_over and group.open == 0) then
    group = {body = ARGV[9], mask = 0, state = 'back', open = 0, till = now + tonumber(ARGV[10]), starts = {}}
  elseif is_over or group.body ~= ARGV[9] or group.state == 'used' or math.floor(group.mask / bit) % 2 == 1 then
    group = nil
  end
end

-- Taken again, in other windows, maybe of another tier.
if group and group.state ~= 'held' then group.starts = {} end

-- What stands in the way, and until when. `math.huge`: for ever.
local too_large, hard, soft, rejoined_at = nil, nil, nil, 0
local function later(one, id, at)
  if one and one.at >= at then return one end
  return {id = id, at = at}
end
for _, counter in ipairs(counters) do
  local row, amount = counter.row, counter.amount
  local ends = row.start + window_ms(counter.id)
  counter.is_shared = counter.is_request and group ~= nil and group.starts[counter.id] ~= nil
  if counter.is_shared then
    counter.base = 0
    -- Should the call come back only when its request takes no more attempts, it needs room of its own.
    if amount and row.used + row.held + 1 > amount then rejoined_at = math.max(rejoined_at, ends) end
  elseif amount then
    local need = counter.base
    if counter.per_output > 0 then need = need + counter.per_output * math.min(output, least_output) end
    need = math.max(need, 1) -- a counter that is used up is closed also for what asks nothing of it
    if need > amount then
      if amount > 0 and counter.base > amount and unit_of(counter.id) == 'tokens' then
        too_large = too_large or counter.id
      end
      hard = later(hard, counter.id, math.huge)
    elseif need > amount - row.used - (counter.is_request and row.held or 0) then
      hard = later(hard, counter.id, ends)
    elseif need > amount - row.used - row.held then
      soft = later(soft, counter.id, ends)
    end
  end
end

if too_large then return answer('denied', whole(now), too_large, '-', 'too_large') end
if hard then
  local at = hard.at
  if at == math.huge then return answer('denied', whole(now), hard.id, '-', 'used') end
  if group and at >= group.till then at = math.max(at, rejoined_at) end
  return answer('denied', whole(now), hard.id, whole(at), 'used')
end
if soft then return answer('denied', whole(now), soft.id, '-', 'held') end

-- There is room on all of them: lower the output to what the tightest leaves.
for _, counter in ipairs(counters) do
  if counter.amount and counter.per_output > 0 then
    local left = counter.amount - counter.row.used - counter.row.held - counter.base
    -- fmod is exact where a division of large numbers would round up
    output = math.min(output, (left - math.fmod(left, counter.per_output)) / counter.per_output)
  end
end

local changed, holds, last_end = {}, {}, now
for _, counter in ipairs(counters) do
  local row, hold = counter.row, counter.base
  if counter.per_output > 0 and output < math.huge then hold = hold + counter.per_output * output end
  if not counter.amount then hold = math.min(hold, MOST_ONLY_COUNTED) end
  if hold > 0 then
    row.held = row.held + hold
    changed[#changed + 1] = counter.id
    changed[#changed + 1] = words_of(row)
    last_end = math.max(last_end, row.start + window_ms(counter.id))
  end
  if group and counter.is_request then
    if not counter.is_shared then group.starts[counter.id] = row.start end
    hold = 0 -- it is the group's
  end
  holds[#holds + 1] = table.concat({counter.id, whole(row.start), whole(hold),
    whole(counter.is_request and 0 or counter.base), '0',
    counter.amount and whole(counter.amount) or '-'}, ' ')
end
if #changed > 0 then
  redis.call('HSET', KEYS[1], unpack(changed))
  outlive(KEYS[1], last_end - now)
end

local output_word = output < math.huge and whole(output) or '-'
local head = {KEYS[1], '-', '-', output_word}
if group then
  group.mask, group.state, group.open = group.mask + bit, 'held', group.open + 1
  -- As long as its windows run: after them there is nothing left to give back.
  local ends = group.till
  for id, start in pairs(group.starts) do ends = math.max(ends, start + window_ms(id)) end
  redis.call('SET', KEYS[4], words_of_group(group), 'PX', whole(math.max(ends - now, 1)))
  head[2], head[3] = KEYS[4], whole(group.till)
end
redis.call('HSET', KEYS[2], call, table.concat(head, ' ') .. '\n' .. table.concat(holds, ' ') .. '\n' .. ARGV[7])

local lease = redis.call('ZSCORE', KEYS[3], worker)
if not lease or tonumber(lease) < now + lease_ms / 2 then
  redis.call('ZADD', KEYS[3], whole(now + lease_ms), worker)
  redis.call('PEXPIRE', KEYS[3], keep_ms)
end
if redis.call('HLEN', KEYS[2]) == 1 then redis.call('PEXPIRE', KEYS[2], keep_ms) end
return answer('admitted', whole(now), output_word)
