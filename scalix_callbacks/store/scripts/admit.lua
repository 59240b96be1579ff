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
-- ARGV[6]  counters, words: {id amount base per_output}; amount "-": only counted, "-~8" or "10~8": with a limit of
--          8 in shadow; base is held whatever the output, per_output for each token of it (tokens, requests or
--          nano-USD, by the id's unit)
-- ARGV[7]  memo: what accounts for the call should its worker die (opaque)
-- ARGV[8]  number of the attempt, 1 to 3; empty: of none
-- ARGV[9]  hash of the attempt's body, one word
-- ARGV[10] for how long after its first attempt a request takes more of them, ms
-- ARGV[11] how long a lease lives, ms
-- ARGV[12] how long KEYS[2] and KEYS[3] outlive their last use, ms
--
-- Returns words, with {start_ms used held} for each counter, in the order asked:
--   "admitted now_ms output {…}"                     output "-": not limited
--   "shadowed now_ms output ids {…}"                 admitted; limits in shadow would have refused: ids with commas
--   "denied now_ms counter retry_at_ms reason {…}"   retry_at_ms "-": never; reason used, held or too_large
--   "ended"                                          the call was released before this came
--
-- Holds to: used + held <= amount on every counter it takes from. A refusal writes nothing. A window starts with
-- the first call kept in it. Attempts of one request hold and count it once. Said twice, a call holds once.
local call, worker, now = ARGV[1], ARGV[2], clock_ms(ARGV[3])
local now_word = whole(now)
local output, least_output = tonumber(ARGV[4]) or math.huge, tonumber(ARGV[5])
local lease_ms, keep_ms = tonumber(ARGV[11]), ARGV[12]
-- Nothing is limited by it, so that it may be less than what was asked for; sums of it stay exact.
local MOST_ONLY_COUNTED = 2 ^ 43

if redis.call('EXISTS', KEYS[5]) == 1 then return 'ended' end

local rows, counters = rows_of(KEYS[1]), {}
for id, unit, window_s, amount, base, per_output in
  string.gmatch(ARGV[6], '((%a+):(%d+)) (%S+) (%d+) (%d+)') do
  local window = window_s * 1000
  local start, used, held, words = row_of(rows[id], window, now, now_word)
  local limit, shadow = tonumber(amount), nil
  if not limit then
    if amount ~= '-' then limit, shadow = string.match(amount, '^(%S+)~(%d+)$') end
    limit, shadow = tonumber(limit), tonumber(shadow)
    if not limit and tonumber(base) > MOST_ONLY_COUNTED then base = whole(MOST_ONLY_COUNTED) end
  end
  -- All fields at once, also what is found out later: a table that grows is laid out anew. `charged` is the word
  -- of what is charged should the worker die.
  counters[#counters + 1] = {
    id = id, unit = unit, window = window, amount = limit, amount_word = amount, shadow = shadow,
    base = tonumber(base), per_output = tonumber(per_output), start = start, used = used, held = held, words = words,
    is_request = unit == 'requests', is_shared = false, charged = unit == 'requests' and '0' or base,
  }
end

local function answer(head)
  local words = {head}
  for i = 1, #counters do words[i + 1] = counters[i].words end
  return table.concat(words, ' ')
end

local before = redis.call('HGET', KEYS[2], call)
if before then return answer('admitted ' .. now_word .. ' ' .. string.match(before, '^%S+ %S+ %S+ (%S+)')) end

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
local too_large, hard, soft, rejoined_at, shadowed = nil, nil, nil, 0, nil
local function later(one, id, at)
  if one and one.at >= at then return one end
  return {id = id, at = at}
end
for i = 1, #counters do
  local counter = counters[i]
  local amount, used, held, ends = counter.amount, counter.used, counter.held, counter.start + counter.window
  counter.is_shared = counter.is_request and group ~= nil and group.starts[counter.id] ~= nil
  if counter.is_shared then
    counter.base = 0
    -- Should the call come back only when its request takes no more attempts, it needs room of its own.
    if amount and used + held + 1 > amount then rejoined_at = math.max(rejoined_at, ends) end
  elseif amount or counter.shadow then
    local need = counter.base
    if counter.per_output > 0 then need = need + counter.per_output * math.min(output, least_output) end
    need = math.max(need, 1) -- a counter that is used up is closed also for what asks nothing of it
    if counter.shadow and need > counter.shadow - used - held then
      shadowed = (shadowed and shadowed .. ',' or '') .. counter.id
    end
    if not amount then
      -- nothing stands in the way
    elseif need > amount then
      if amount > 0 and counter.base > amount and counter.unit == 'tokens' then too_large = too_large or counter.id end
      hard = later(hard, counter.id, math.huge)
    elseif need > amount - used - (counter.is_request and held or 0) then
      hard = later(hard, counter.id, ends)
    elseif need > amount - used - held then
      soft = later(soft, counter.id, ends)
    end
  end
end

local function denied(id, at_word, reason)
  return answer('denied ' .. now_word .. ' ' .. id .. ' ' .. at_word .. ' ' .. reason)
end
if too_large then return denied(too_large, '-', 'too_large') end
if hard then
  local at = hard.at
  if at == math.huge then return denied(hard.id, '-', 'used') end
  if group and at >= group.till then at = math.max(at, rejoined_at) end
  return denied(hard.id, whole(at), 'used')
end
if soft then return denied(soft.id, '-', 'held') end

-- There is room on all of them: lower the output to what the tightest leaves.
for i = 1, #counters do
  local counter = counters[i]
  if counter.amount and counter.per_output > 0 then
    local left = counter.amount - counter.used - counter.held - counter.base
    -- fmod is exact where a division of large numbers would round up
    output = math.min(output, (left - math.fmod(left, counter.per_output)) / counter.per_output)
  end
end

local changed, holds, last_end = {}, {}, now
for i = 1, #counters do
  local counter = counters[i]
  local id, start, hold = counter.id, counter.start, counter.base
  if counter.per_output > 0 and output < math.huge then hold = hold + counter.per_output * output end
  if not counter.amount then hold = math.min(hold, MOST_ONLY_COUNTED) end
  if hold > 0 then
    counter.words = start .. ' ' .. counter.used .. ' ' .. whole(counter.held + hold)
    changed[#changed + 1] = id
    changed[#changed + 1] = counter.words
    last_end = math.max(last_end, start + counter.window)
  end
  if group and counter.is_request then
    if not counter.is_shared then group.starts[id] = start end
    hold = 0 -- it is the group's
  end
  holds[i] = id .. ' ' .. start .. ' ' .. whole(hold) .. ' ' .. counter.charged .. ' 0 ' .. counter.amount_word
end
if #changed > 0 then
  redis.call('HSET', KEYS[1], unpack(changed))
  outlive(KEYS[1], last_end - now)
end

local output_word = output < math.huge and whole(output) or '-'
local group_words = '- -'
if group then
  group.mask, group.state, group.open = group.mask + bit, 'held', group.open + 1
  -- As long as its windows run: after them there is nothing left to give back.
  local ends = group.till
  for id, start in pairs(group.starts) do ends = math.max(ends, start + window_ms(id)) end
  redis.call('SET', KEYS[4], words_of_group(group), 'PX', whole(math.max(ends - now, 1)))
  group_words = KEYS[4] .. ' ' .. whole(group.till)
end
redis.call('HSET', KEYS[2], call, KEYS[1] .. ' ' .. group_words .. ' ' .. output_word .. '\n'
           .. table.concat(holds, ' ') .. '\n' .. ARGV[7])

local lease = redis.call('ZSCORE', KEYS[3], worker)
if not lease or tonumber(lease) < now + lease_ms / 2 then
  redis.call('ZADD', KEYS[3], whole(now + lease_ms), worker)
  redis.call('PEXPIRE', KEYS[3], keep_ms)
end
if redis.call('HLEN', KEYS[2]) == 1 then redis.call('PEXPIRE', KEYS[2], keep_ms) end
if shadowed then return answer('shadowed ' .. now_word .. ' ' .. output_word .. ' ' .. shadowed) end
return answer('admitted ' .. now_word .. ' ' .. output_word)
