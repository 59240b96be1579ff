-- shelf: things of one kind that a shard keeps, each with an end, all of them bounded. Put before the scripts that
-- keep and forget them.
--
-- KEYS[1]  hash: name -> thing; "bytes" -> what all of them take
-- KEYS[2]  sorted set: name -> when its thing ends, ms
-- KEYS[3]  hash: name -> words it is also found by; the first says whose it is
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('DEL', KEYS[1], KEYS[3]) end
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')

local function drop(name)
  bytes = bytes - redis.call('HSTRLEN', KEYS[1], name)
  redis.call('HDEL', KEYS[1], name)
  redis.call('HDEL', KEYS[3], name)
  redis.call('ZREM', KEYS[2], name)
end
