-- Ends a pause, and puts back what it has held, in steps. ARGV: 3 "queue <name>" or "task <name>".
-- Returns 1 where it was paused, and 1 where it must be called again.
local was = redis.call('HDEL', P .. 'paused', ARGV[3])
local more = not (pauses() and pauses()[ARGV[3]]) and put_back(ARGV[3])
if string.sub(ARGV[3], 1, 6) == 'queue ' then wake(string.sub(ARGV[3], 7)) end
return {was, more and 1 or 0}
