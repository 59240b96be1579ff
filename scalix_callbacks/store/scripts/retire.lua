-- retire: forget a worker whose lease lapsed and that has no open calls.
--
-- KEYS[1]  sorted set of the shard's workers: worker id -> end of its lease, ms
-- KEYS[2]  hash of the worker's open calls in this shard
--
-- ARGV[1]  worker id
-- ARGV[2]  the moment, ms; empty: Redis' own clock
--
-- Returns 1, or 0 when the worker has a lease, has open calls, or is not there.
--
-- Holds to: a worker with open calls is never forgotten.
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) > clock_ms(ARGV[2]) or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
