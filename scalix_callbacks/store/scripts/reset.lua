-- reset: give an account fresh windows.
--
-- KEYS[1]  hash of the account's counters
--
-- Returns how many counters stood above nothing.
--
-- Holds to: what open calls hold stays held, in the window they were admitted to, so that settling them takes
-- nothing from what others hold; all that was used is forgotten. An open call still counts when it is settled.
local rows, set, emptied, count = rows_of(KEYS[1]), {}, {}, 0
for id, words in pairs(rows) do
  local start, used, held = string.match(words, ROW)
  if used ~= '0' then count = count + 1 end
  if held == '0' then
    emptied[#emptied + 1] = id
  else
    set[#set + 1] = id
    set[#set + 1] = start .. ' 0 ' .. held
  end
end
-- Written first, emptied then: a hash without a field, even for a moment, would lose its time to live.
if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
if #emptied > 0 then redis.call('HDEL', KEYS[1], unpack(emptied)) end
return count
