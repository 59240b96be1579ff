-- model_health: replace rows that are still as they were read, and tell all.
--
-- KEYS[1]  hash: model name -> words of its row
--
-- ARGV[1]  how long it is kept after this change, ms
-- ARGV[2]  the most rows there may be
-- ARGV[3..]  model, its row as it was read (empty: there was none), its new row; and so on
--
-- Returns the time in ms; for each model to be changed 1 where it was, else 0, as one word; then each model and its
-- row.
--
-- Holds to: a row changes only from what its writer knew, so that of two workers who changed it at once none undoes
-- what the other told; who finds another row than its own does it again. Beyond the most rows all are forgotten: they
-- are made anew within minutes, and a configuration has never so many.
local now, taken = clock_ms(''), {}
if #ARGV > 2 then
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
  for i = 3, #ARGV, 3 do
    if (redis.call('HGET', KEYS[1], ARGV[i]) or '') == ARGV[i + 1] then
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
      taken[#taken + 1] = '1'
    else
      taken[#taken + 1] = '0'
    end
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
local told = redis.call('HGETALL', KEYS[1])
table.insert(told, 1, whole(now))
table.insert(told, 2, table.concat(taken))
return told
