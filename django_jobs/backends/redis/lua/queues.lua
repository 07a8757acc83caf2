-- Names the queues that hold a job which is ready or due; with the argument "suspects" those that hold a suspect.
-- Paused queues are left out.
local holds = pauses() or {}
if ARGV[3] == 'suspects' then
  local held = {}
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
    if not holds['queue ' .. queue] and redis.call('EXISTS', P .. 'suspects:' .. queue) > 0 then held[#held + 1] = queue end
  end
  return held
end
open_timed()
local found = {}
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
  local ready = redis.call('EXISTS', P .. 'ready:' .. queue, P .. 'suspects:' .. queue) > 0
  for _, kind in ipairs({'due:', 'retrying:'}) do
    if not ready then
      ready = #redis.call('ZRANGEBYSCORE', P .. kind .. queue, '-inf', text(now), 'LIMIT', 0, 1) > 0
    end
  end
  if ready and not holds['queue ' .. queue] then found[#found + 1] = queue end
end
return found
