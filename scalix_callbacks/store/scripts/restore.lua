-- restore: make an account's counters what its records say.
--
-- KEYS[1]  hash of the account's counters
-- KEYS[2]  stream: the shard's outbox
--
-- ARGV[1]  the moment, ms; empty: Redis' own clock
-- ARGV[2..] for each counter: its id; its words when the records were read, or empty; when its window began, ms;
--          what was used in it
--
-- Returns "done", and when nothing was changed:
--   "behind"   records wait in the outbox: those that were read are not all
--   "changed"  a call came between: they may not be all
--
-- Holds to: all counters or none. What open calls hold stays held, in the window they are held in; else the
-- window is that of the records.
if redis.call('XLEN', KEYS[2]) > 0 then return 'behind' end
local rows = rows_of(KEYS[1])
for i = 2, #ARGV, 4 do
  if (rows[ARGV[i]] or '') ~= ARGV[i + 1] then return 'changed' end
end

local now, last_end = clock_ms(ARGV[1]), 0
for i = 2, #ARGV, 4 do
  local id, start, used = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local window = window_ms(id)
  local kept, _, held = row_of(rows[id], window, now, start)
  if held ~= '0' then start = kept end
  if used == '0' and held == '0' then
    redis.call('HDEL', KEYS[1], id)
  else
    redis.call('HSET', KEYS[1], id, start .. ' ' .. used .. ' ' .. held)
    last_end = math.max(last_end, start + window)
  end
end
if last_end > now then redis.call('PEXPIRE', KEYS[1], whole(last_end - now)) end
return 'done'
