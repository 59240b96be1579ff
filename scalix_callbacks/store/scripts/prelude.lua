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
-- amount    "-" where nothing is limited; with "~" and a number behind it where there is a limit in shadow
-- A word that is not known or not there is "-".

-- Numbers stay the words they came as where they can: to print one takes Lua longer than most commands take Redis.
-- Lua counts with such words as with numbers, but compares them as text.

local function whole(number) return string.format('%.0f', number) end

local function clock_ms(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function window_ms(id) return string.match(id, '%d+$') * 1000 end

-- All counters of an account, id -> words. They are few, and one command reads them whichever are needed.
local function rows_of(key)
  local rows, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do rows[flat[i]] = flat[i + 1] end
  return rows
end

local ROW = '^(%-?%d+) (%d+) (%d+)$'

-- A counter as it stands at `now`: start, used and held, each a word, and the words of all three. When no window
-- runs, one would start now.
local function row_of(stored, window, now, now_word)
  if stored then
    local start, used, held = string.match(stored, ROW)
    if start + window > now then return start, used, held, stored end
  end
  return now_word, '0', '0', now_word .. ' 0 0'
end

-- PEXPIRE with GT is Redis 7; this also writes only when there is something to lengthen.
local function outlive(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, whole(ms)) end
end

local function group_of(stored)
  if not stored then return nil end
  local body, mask, state, open, till, starts = string.match(stored, '^(%S+) (%d+) (%a+) (%d+) (%-?%d+) ?(.*)$')
  local group = {body = body, mask = tonumber(mask), state = state, open = tonumber(open), till = tonumber(till),
                 starts = {}}
  for id, start in string.gmatch(starts, '(%S+) (%-?%d+)') do group.starts[id] = start end
  return group
end

local function words_of_group(group)
  local words = {group.body, whole(group.mask), group.state, whole(group.open), whole(group.till)}
  for id, start in pairs(group.starts) do words[#words + 1] = id .. ' ' .. start end
  return table.concat(words, ' ')
end
