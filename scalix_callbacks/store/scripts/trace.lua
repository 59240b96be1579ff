-- trace: put traces into a shard; those that are oldest make room for them.
--
-- KEYS     the shelf's; see there
-- ARGV[1]  how long they live, ms
-- ARGV[2]  bytes that all may take
-- ARGV[3]  traces that there may be
-- ARGV[4]  now, ms; empty: Redis' own clock
-- ARGV[5..]  id, words "user call client" (each a digest or "-"), trace; of each
--
-- Returns how many traces there are.
--
-- Holds to: never more bytes and never more traces than allowed; every key ends with its last trace.
local now, life, room, most = clock_ms(ARGV[4]), tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(now), 'LIMIT', 0, 100)) do drop(id) end
for i = 5, #ARGV, 3 do
  drop(ARGV[i])
  bytes = bytes + string.len(ARGV[i + 2])
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[2], whole(now + life), ARGV[i])
end
local count = redis.call('ZCARD', KEYS[2])
while count > 0 and (bytes > room or count > most) do
  drop(redis.call('ZRANGE', KEYS[2], 0, 0)[1])
  count = count - 1
end
if count > 0 then
  redis.call('HSET', KEYS[1], 'bytes', whole(bytes))
  for i = 1, 3 do outlive(KEYS[i], life) end
else
  redis.call('DEL', KEYS[1])
end
return count
