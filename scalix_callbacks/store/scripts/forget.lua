-- forget: take out of a shard's cache all that one account asked for.
--
-- KEYS[1]  hash: field -> sealed answer; "bytes" -> what all of them take
-- KEYS[2]  sorted set: field -> when its answer ends, ms
-- KEYS[3]  hash: field -> whose call it answered
-- ARGV[1]  author
--
-- Returns how many answers were taken out. Others' stay as they are.
local bytes, count = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0'), 0
local authors = redis.call('HGETALL', KEYS[3])
for i = 1, #authors, 2 do
  if authors[i + 1] == ARGV[1] then
    bytes = bytes - redis.call('HSTRLEN', KEYS[1], authors[i])
    redis.call('HDEL', KEYS[1], authors[i])
    redis.call('HDEL', KEYS[3], authors[i])
    redis.call('ZREM', KEYS[2], authors[i])
    count = count + 1
  end
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[1], KEYS[3])
elseif count > 0 then
  redis.call('HSET', KEYS[1], 'bytes', whole(bytes))
end
return count
