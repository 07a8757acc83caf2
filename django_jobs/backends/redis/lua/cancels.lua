-- Tells whose cancel is requested. ARGV from 3: ids of jobs that run. Returns for each: 0 not, 1 requested, 2 and its
-- worker is to end it.
local found = {}
for index = 3, #ARGV do
  local flag = redis.call('SISMEMBER', P .. 'flags', ARGV[index])
  if flag == 1 then flag = flag + redis.call('SISMEMBER', P .. 'terminate', ARGV[index]) end
  found[#found + 1] = flag
end
return found
