-- Enqueues at a tick of a schedule, once. ARGV: 3 schedule; 4 tick_us; 5 id; 6 queue; 7 rank; 8 when; 9 record as in
-- enqueue. Returns 1, or 0 where the tick is not later than the schedule's last one or the id is taken.
local last = redis.call('HGET', P .. 'ticks', ARGV[3])
if last and tonumber(last) >= tonumber(ARGV[4]) then return 0 end
local id, queue, rank = ARGV[5], ARGV[6], tonumber(ARGV[7])
local mark = tonumber(redis.call('ZSCORE', P .. 'marks', id) or '0')
local taken = mark > now * 2 + 1 or redis.call('HEXISTS', P .. 'jobs', id) == 1
  or redis.call('EXISTS', P .. 'result:' .. id) == 1 or redis.call('HEXISTS', P .. 'out', id) == 1
redis.call('HSET', P .. 'ticks', ARGV[3], ARGV[4])
if taken then return 0 end
redis.call('HSET', P .. 'jobs', id, text(now) .. string.format('%03d', rank) .. ARGV[9])
redis.call('SADD', P .. 'queues', queue)
local kind, at_us = string.sub(ARGV[8], 1, 1), tonumber(string.sub(ARGV[8], 2)) or 0
if kind == '+' then at_us = now + at_us end
if at_us > now then
  redis.call('ZADD', P .. 'due:' .. queue, text(at_us), id)
else
  redis.call('ZADD', P .. 'ready:' .. queue, text(next_place(rank)), id)
end
wake(queue)
keep_tick()
return 1
