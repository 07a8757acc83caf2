-- Drops what is over. ARGV: 3 limit; 4 how long a dead session is remembered, in us. Returns how many.
local limit = tonumber(ARGV[3])
local marks = redis.call('ZRANGEBYSCORE', P .. 'marks', '-inf', text(now * 2 + 1), 'LIMIT', 0, limit)
if #marks > 0 then redis.call('ZREMRANGEBYRANK', P .. 'marks', 0, #marks - 1) end
local old = redis.call('ZRANGEBYSCORE', P .. 'dead', '-inf', text(now - ARGV[4]), 'LIMIT', 0, limit - #marks)
for _, session in ipairs(old) do
  redis.call('ZREM', P .. 'dead', session)
  redis.call('HDEL', P .. 'sessions', session)
end
local over = redis.call('ZRANGEBYSCORE', P .. 'uniques:until', '-inf', text(now), 'LIMIT', 0, limit)
for _, key in ipairs(over) do
  redis.call('ZREM', P .. 'uniques:until', key)
  redis.call('HDEL', P .. 'uniques', key)
end
redis.call('ZREMRANGEBYSCORE', P .. 'awaited', '-inf', text(now))
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
  if redis.call('EXISTS', P .. 'ready:' .. queue, P .. 'due:' .. queue, P .. 'retrying:' .. queue,
      P .. 'suspects:' .. queue, P .. 'parked:' .. queue, P .. 'gated:' .. queue, P .. 'withheld:' .. queue) == 0 then
    redis.call('SREM', P .. 'queues', queue)
  end
end
local passed = 0
for _, line in ipairs(redis.call('SRANDMEMBER', P .. 'turns', 100)) do -- of many lines others come the next time
  passed = passed + sweep_turns(line, limit)
end
return #marks + #old + #over + passed
