-- keep: put an answer into a shard's cache; those that end first make room for it.
--
-- KEYS     the shelf's; see there
-- ARGV[1]  field
-- ARGV[2]  author
-- ARGV[3]  sealed answer
-- ARGV[4]  how long it lives, ms
-- ARGV[5]  bytes that all may take
-- ARGV[6]  answers that there may be
-- ARGV[7]  now, ms; empty: Redis' own clock
--
-- Returns how many answers there are.
--
-- Holds to: never more bytes and never more answers than allowed; every key ends with its last answer.
local now, life, room, most = clock_ms(ARGV[7]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local size = string.len(ARGV[3])

drop(ARGV[1])
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(now))) do drop(field) end
while bytes + size > room or redis.call('ZCARD', KEYS[2]) >= most do
  local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not first then break end
  drop(first)
end
if size <= room and most > 0 then
  bytes = bytes + size
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3], 'bytes', whole(bytes))
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[2], whole(now + life), ARGV[1])
  for i = 1, 3 do outlive(KEYS[i], life) end
elseif bytes > 0 then
  redis.call('HSET', KEYS[1], 'bytes', whole(bytes))
end
return redis.call('ZCARD', KEYS[2])
