-- Declares sessions dead that were not renewed for a time, and names claims that no living session holds.
-- ARGV: 3 timeout_us; 4 jobs, at most, in the claims that are named (one claim is always named).
-- Returns the sessions that died now; session, field, session, field ..; how many jobs; 1 where there are more.
local expired = redis.call('ZRANGEBYSCORE', P .. 'renewed', '-inf', text(now - ARGV[3]), 'WITHSCORES', 'LIMIT', 0, 200)
local died = {}
for index = 1, #expired, 2 do
  died[#died + 1] = expired[index]
  die(expired[index], expired[index + 1])
end

local names, jobs, more = {}, 0, 0
local function collect(session)
  local claims = redis.call('HGETALL', P .. 'claims:' .. session)
  if #claims == 0 then redis.call('SREM', P .. 'holders', session) end
  local fields, texts = {}, {}
  for index = 1, #claims, 2 do
    fields[#fields + 1] = claims[index]
    texts[claims[index]] = claims[index + 1]
  end
  table.sort(fields, function(one, other)
    local child, number = string.match(one, '(%d+)/(%d+)')
    local other_child, other_number = string.match(other, '(%d+)/(%d+)')
    if child ~= other_child then return tonumber(child) < tonumber(other_child) end
    return tonumber(number) < tonumber(other_number)
  end)
  for _, field in ipairs(fields) do
    local _, size = string.gsub(texts[field], '\n', '')
    if jobs > 0 and jobs + size > tonumber(ARGV[4]) then return true end
    names[#names + 1] = session
    names[#names + 1] = field
    jobs = jobs + size
  end
  return false
end

local holders = redis.call('SMEMBERS', P .. 'holders')
if #holders > 0 then
  local lives = read_many('ZMSCORE', P .. 'renewed', holders)
  for index, session in ipairs(holders) do
    if not lives[index] and collect(session) then
      more = 1
      break
    end
  end
end
return {died, names, jobs, more}
