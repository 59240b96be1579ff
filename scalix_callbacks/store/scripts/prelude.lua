-- prelude: how the scripts read and write what they share. Put before each of them.
--
-- Everything stored or returned is words with a blank between them, not JSON: cjson turns an empty list into an
-- object and prints large integers with 14 digits. Numbers are integers below 2^53, which Lua holds exactly.
--
-- counter   "start_ms used held", in the account's hash under "unit:window_s"
-- group     "body mask state open until_ms {counter start_ms}": the attempts of one request. `mask` has bit N set
--           when attempt N was admitted, `open` is how many are, `until_ms` when no more may join. `state` is
--           held, used (one succeeded) or back (all failed so far). The request itself belongs to the group,
--           in the windows listed.
-- open call "counters_key group_key until_ms output LF {counter start_ms held base used amount} LF memo";
--           `base` is what is charged should its worker die, `used` what was charged when it did.
-- A word that is not known or not there is "-".

local function whole(number) return string.format('%.0f', number) end

local function clock_ms(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function unit_of(id) return string.match(id, '^%a+') end

local function window_ms(id) return string.match(id, '%d+$') * 1000 end

-- A counter as it stands at `now`; `is_kept` false: no window runs, one would start now.
local function row_of(stored, id, now)
  if stored then
    local start, used, held = string.match(stored, '^(%-?%d+) (%d+) (%d+)$')
    start = tonumber(start)
    if start + window_ms(id) > now then
      return {start = start, used = tonumber(used), held = tonumber(held), is_kept = true}
    end
  end
  return {start = now, used = 0, held = 0, is_kept = false}
end

local function words_of(row) return whole(row.start) .. ' ' .. whole(row.used) .. ' ' .. whole(row.held) end

-- PEXPIRE with GT is Redis 7; this also writes only when there is something to lengthen.
local function outlive(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, whole(ms)) end
end

local function group_of(stored)
  if not stored then return nil end
  local body, mask, state, open, till, starts = string.match(stored, '^(%S+) (%d+) (%a+) (%d+) (%-?%d+) ?(.*)$')
  local group = {body = body, mask = tonumber(mask), state = state, open = tonumber(open), till = tonumber(till),
                 starts = {}}
  for id, start in string.gmatch(starts, '(%S+) (%-?%d+)') do group.starts[id] = tonumber(start) end
  return group
end

local function words_of_group(group)
  local words = {group.body, whole(group.mask), group.state, whole(group.open), whole(group.till)}
  for id, start in pairs(group.starts) do words[#words + 1] = id .. ' ' .. whole(start) end
  return table.concat(words, ' ')
end
