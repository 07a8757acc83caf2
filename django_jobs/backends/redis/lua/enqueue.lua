-- Takes in jobs, all or none: whatever is refused for want of memory is refused before the first write.
-- ARGV, five for each: id; queue; rank; when: "" now, "=" .. eta_us, "+" .. delay_us; record without its 19 digits.
-- Returns for each 1 where it is new, 0 where its id is live, marked, or has a stored result.
local count = (#ARGV - 2) / 5
local ids, results = {}, {}
for index = 0, count - 1 do
  ids[index + 1] = ARGV[3 + index * 5]
  results[index + 1] = P .. 'result:' .. ARGV[3 + index * 5]
end
local live = read_many('HMGET', P .. 'jobs', ids)
local marks = read_many('ZMSCORE', P .. 'marks', ids)
local stored = {}
for first = 1, count, 4000 do
  local last = math.min(first + 3999, count)
  if redis.call('EXISTS', unpack(results, first, last)) > 0 then
    for index = first, last do stored[index] = redis.call('EXISTS', results[index]) == 1 end
  end
end
local leaving = {}
if redis.call('EXISTS', P .. 'out') == 1 then leaving = read_many('HMGET', P .. 'out', ids) end

local answers, seen, jobs, ready, due, queues = {}, {}, {}, {}, {}, {}
local stamp = text(now)
for index = 1, count do
  local id, at = ids[index], 3 + (index - 1) * 5
  local marked = marks[index] and tonumber(marks[index]) > now * 2 + 1
  if live[index] or marked or stored[index] or leaving[index] or seen[id] then
    answers[index] = 0
  else
    answers[index] = 1
    seen[id] = true
    local queue, rank, when = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = stamp .. string.format('%03d', rank) .. ARGV[at + 4]
    local kind, at_us = string.sub(when, 1, 1), tonumber(string.sub(when, 2)) or 0
    if kind == '+' then at_us = now + at_us end
    local line, score
    if at_us > now then
      line, score = due, at_us
    else
      line, score = ready, next_place(rank)
      queues[queue] = true
    end
    line[queue] = line[queue] or {}
    table.insert(line[queue], text(score))
    table.insert(line[queue], id)
  end
end
if #jobs == 0 then return answers end
call_many('HSET', P .. 'jobs', jobs, 2)
for queue, members in pairs(ready) do
  redis.call('SADD', P .. 'queues', queue)
  call_many('ZADD', P .. 'ready:' .. queue, members, 2)
end
for queue, members in pairs(due) do
  redis.call('SADD', P .. 'queues', queue)
  call_many('ZADD', P .. 'due:' .. queue, members, 2)
  wake(queue) -- who waits must learn the earlier time
end
for queue in pairs(queues) do wake(queue) end
keep_tick()
return answers
