-- Pauses. ARGV: 3 "queue <name>" or "task <name>"; 4 who and why, packed. Returns 1, or 0 where it is paused already.
return redis.call('HSETNX', P .. 'paused', ARGV[3], text(now) .. ' ' .. ARGV[4])
