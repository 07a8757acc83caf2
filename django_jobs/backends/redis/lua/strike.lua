-- Strikes from the out-list what the other store has. ARGV from 3: id, attempt, id .. A later attempt stays.
-- Returns how many.
local count = 0
for index = 3, #ARGV, 2 do
  local value = redis.call('HGET', P .. 'out', ARGV[index])
  if value and string.match(value, '^%a(%d+) ', 17) == ARGV[index + 1] then
    count = count + redis.call('HDEL', P .. 'out', ARGV[index])
  end
end
if redis.call('EXISTS', P .. 'out') == 0 then redis.call('DEL', P .. 'out:ids') end
return count
