-- Counts. Returns now; for each queue: name, scheduled, ready, suspects, retrying, parked, the earliest tick of what
-- may run or ""; then the records of claimed jobs (their queues are in them), as head only.
local queues, running = {}, {}
local takes_turns = redis.call('EXISTS', P .. 'turns') == 1

-- The earliest of the first ones of a priority: who takes turns may stand at an earlier place than when it came.
local function earliest(first, rank)
  local found = nil
  for index = 1, #first, 2 do
    local place = tonumber(first[index + 1])
    if math.floor(place / 35184372088832) ~= rank then break end
    local record = takes_turns and redis.call('HGET', P .. 'jobs', first[index])
    if record then place = math.max(place, place_at(rank, tonumber(string.sub(record, 1, 16)) or 0)) end
    found = math.min(found or place, place)
  end
  return found - rank * 35184372088832
end

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
      local first = redis.call('ZRANGEBYSCORE', P .. kind .. queue, from, '+inf', 'WITHSCORES', 'LIMIT', 0, takes_turns and 20 or 1)
      if #first == 0 then break end
      local rank = math.floor(tonumber(first[2]) / 35184372088832)
      local tick = earliest(first, rank)
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
