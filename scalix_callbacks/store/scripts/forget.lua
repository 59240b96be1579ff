-- forget: take out of a shelf all that is one account's.
--
-- KEYS     the shelf's; see there
-- ARGV[1]  whose: one word, not "-"
--
-- Returns how many things were taken out. Others' stay as they are.
local count, own = 0, ARGV[1] .. ' '
local words = redis.call('HGETALL', KEYS[3])
for i = 1, #words, 2 do
  if string.sub(words[i + 1] .. ' ', 1, #own) == own then
    drop(words[i])
    count = count + 1
  end
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[1], KEYS[3])
elseif count > 0 then
  redis.call('HSET', KEYS[1], 'bytes', whole(bytes))
end
return count
