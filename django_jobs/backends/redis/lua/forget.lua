-- Drops stored results; their marks stay. ARGV: 3 how long the marks of our own ids last, in us; 4 of given ids;
-- 5 "ids", then ids; or "old", age_us, limit, letters.. : those that ended longer ago. Returns how many there were.
local count = 0

local function forget(id, stamp)
  local value = redis.call('GET', P .. 'result:' .. id)
  if not value or (stamp and string.sub(value, 1, 16) ~= stamp) then return end -- gone, or a later end of this id
  redis.call('DEL', P .. 'result:' .. id)
  count = count + 1
  local letter = string.sub(value, 17, 17)
  local until_us = tonumber(string.sub(value, 1, 16)) + (letter == string.upper(letter) and ARGV[4] or ARGV[3])
  if until_us > now then redis.call('ZADD', P .. 'marks', 'GT', text(until_us * 2 + 1), id) end
end

if ARGV[5] == 'ids' then
  for index = 6, #ARGV do forget(ARGV[index]) end
  return count
end

local limit = tonumber(ARGV[7])
for index = 8, #ARGV do
  local key = P .. 'ended:' .. ARGV[index]
  local groups = redis.call('ZRANGEBYSCORE', key, '-inf', text(now - ARGV[6]), 'WITHSCORES', 'LIMIT', 0, limit)
  for at = 1, #groups, 2 do
    if count >= limit then break end
    redis.call('ZREM', key, groups[at])
    local stamp, left = string.format('%016.0f', groups[at + 1]), {}
    for id in string.gmatch(groups[at], '[^ ]+') do
      if count < limit then forget(id, stamp) else left[#left + 1] = id end
    end
    if #left > 0 then redis.call('ZADD', key, stamp, table.concat(left, ' ')) end
  end
end
return count
