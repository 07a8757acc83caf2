-- Puts parked jobs of known tasks back in line, at most 1000 in a call. ARGV from 3: tasks. Returns how many.
local moved = 0

local function unpark(queue, task)
  local key = P .. 'parked:' .. queue
  local members = redis.call('ZRANGEBYLEX', key, '[' .. task .. '\n', '(' .. task .. '\11', 'LIMIT', 0, 1000 - moved)
  for _, member in ipairs(members) do
    local id = string.sub(member, #task + 2)
    local suspect, place = string.match(redis.call('HGET', P .. 'meta', id) or '', '^%d+ (%d) (%d+) ')
    redis.call('ZREM', key, member)
    if place then
      local _, limit = split_bound(redis.call('HGET', P .. 'bound', id) or '\n\n')
      if limit ~= '' then
        enter_gate(limit, queue, place, id)
        touched[limit] = true
      else
        redis.call('ZADD', P .. (suspect == '1' and 'suspects:' or 'ready:') .. queue, place, id)
      end
      moved = moved + 1
    end
  end
  if #members > 0 then wake(queue) end
end

for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
  if redis.call('EXISTS', P .. 'parked:' .. queue) == 1 then
    for index = 3, #ARGV do
      if moved < 1000 then unpark(queue, ARGV[index]) end
    end
  end
end
open_touched()
return moved
