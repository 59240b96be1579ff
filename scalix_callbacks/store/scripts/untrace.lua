-- untrace: take out of a shard all traces of one user.
--
-- KEYS[1]  hash: id -> trace; "bytes" -> what all of them take
-- KEYS[2]  sorted set: id -> when its trace ends, ms
-- KEYS[3]  hash: id -> "user call client", each a digest or "-"
-- ARGV[1]  user, a digest
--
-- Returns how many traces there were. Others' stay as they are.
local bytes, count = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0'), 0
local names = redis.call('HGETALL', KEYS[3])
for i = 1, #names, 2 do
  if string.sub(names[i + 1], 1, string.len(ARGV[1]) + 1) == ARGV[1] .. ' ' then
    bytes = bytes - redis.call('HSTRLEN', KEYS[1], names[i])
    redis.call('HDEL', KEYS[1], names[i])
    redis.call('HDEL', KEYS[3], names[i])
    redis.call('ZREM', KEYS[2], names[i])
    count = count + 1
  end
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[1], KEYS[3])
elseif count > 0 then
  redis.call('HSET', KEYS[1], 'bytes', whole(bytes))
end
return count
