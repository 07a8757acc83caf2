-- Counts. Returns now; for each queue: name, scheduled, ready, suspects, retrying, parked, the earliest tick of what
-- may run or ""; then the records of claimed jobs (their queues are in them), as head only.
local queues, running = {}, {}
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
  local counts, oldest = {queue}, ''
  for _, kind in ipairs({'due:', 'ready:', 'suspects:', 'retrying:', 'parked:'}) do
    counts[#counts + 1] = redis.call('ZCARD', P .. kind .. queue)
  end
  counts[6] = counts[6] + redis.call('ZCARD', P .. 'gated:' .. queue)
  counts[3] = counts[3] + redis.call('ZCARD', P .. 'withheld:' .. queue)
  for _, kind in ipairs({'ready:', 'suspects:', 'withheld:'}) do
    local from = '-inf' -- one probe for each priority that is there
    while true do
      local first = redis.call('ZRANGEBYSCORE', P .. kind .. queue, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      if #first == 0 then break end
      local rank = math.floor(tonumber(first[2]) / 35184372088832)
      local tick = tonumber(first[2]) - rank * 35184372088832
      if oldest == '' or tick < oldest then oldest = tick end
      from = text((rank + 1) * 35184372088832)
    end
  end
  counts[#counts + 1] = oldest ~= '' and text(oldest) or ''
  queues[#queues + 1] = counts
end
for _, session in ipairs(redis.call('SMEMBERS', P .. 'holders')) do
  for _, whole in ipairs(redis.call('HVALS', P .. 'claims:' .. session)) do
    for _, record in ipairs(read_many('HMGET', P .. 'jobs', ids_of(whole))) do
      if record then
        running[#running + 1] = string.sub(record, 24, 23 + (tonumber(string.sub(record, 20, 23)) or 0))
      end
    end
  end
end
return {text(now), queues, running}
