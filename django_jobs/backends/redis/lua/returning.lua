-- For scripts that end pauses. Puts back what the pause of a target has held, at most 1000 jobs, each where it waited:
-- in line, or for its limit. Returns whether there may be more.
local function put_back(target)
  local key, queues = P .. 'held:' .. target, {}
  local found = redis.call('ZRANGE', key, 0, 999, 'WITHSCORES')
  for index = 1, #found, 2 do
    local id, place = found[index], text(tonumber(found[index + 1]))
    local _, queue = head_of(redis.call('HGET', P .. 'jobs', id) or '')
    if queue and redis.call('ZREM', P .. 'withheld:' .. queue, id) == 1 then
      local _, limit = split_bound(redis.call('HGET', P .. 'bound', id) or '\n\n')
      if limit ~= '' then
        enter_gate(limit, queue, place, id)
        touched[limit] = true
      else
        local suspect = string.match(redis.call('HGET', P .. 'meta', id) or '', '^%d+ (%d) ') == '1'
        redis.call('ZADD', P .. (suspect and 'suspects:' or 'ready:') .. queue, place, id)
      end
      queues[queue] = true
    end
  end
  if #found > 0 then redis.call('ZREMRANGEBYRANK', key, 0, #found / 2 - 1) end
  local more = redis.call('EXISTS', key) == 1
  if not more then redis.call('SREM', P .. 'holding', target) end
  open_touched()
  for queue in pairs(queues) do wake(queue) end
  return more
end
