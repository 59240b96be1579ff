-- standings: the account's counters as they are now.
--
-- KEYS[1]  hash of the account's counters
--
-- ARGV[1]  the moment, ms; empty: Redis' own clock
-- ARGV[2..] ids of counters
--
-- Returns words: "now_ms {start_ms used held}", in the order asked.
--
-- Holds to: writes nothing; a window that is over reads as one that starts now.
local now = clock_ms(ARGV[1])
local rows, words = rows_of(KEYS[1]), {whole(now)}
for i = 2, #ARGV do
  local _, _, _, row = row_of(rows[ARGV[i]], window_ms(ARGV[i]), now, words[1])
  words[i] = row
end
return table.concat(words, ' ')
