-- Lets jobs through that wait behind a limit with room, frees the places of jobs that are not live or are paused, and puts
-- back what a pause holds that is over.
-- ARGV: 3 where the last call ended, or 0; 4 about how many keys. Returns where this one ended, and how many jobs.
local holds = pauses()
for _, target in ipairs(redis.call('SMEMBERS', P .. 'holding')) do
  if not (holds and holds[target]) then put_back(target) end
end

local function take_back(slots, id)
  local _, _, queue = split_bound(redis.call('HGET', P .. 'bound', id) or '')
  local target = queue and paused_by(queue, id)
  if not target then return end
  for _, kind in ipairs({'ready:', 'suspects:'}) do
    local place = redis.call('ZSCORE', P .. kind .. queue, id)
    if place then
      redis.call('ZREM', P .. kind .. queue, id)
      redis.call('ZREM', slots, id)
      put_aside(target, queue, text(tonumber(place)), id)
    end
  end
end

local cursor, rows = unpack(redis.call('HSCAN', P .. 'limits', ARGV[3], 'COUNT', ARGV[4]))
local through = 0
for index = 1, #rows, 2 do
  local slots = P .. 'slots:' .. rows[index]
  for _, id in ipairs(redis.call('ZRANGE', slots, 0, 99)) do
    if redis.call('HEXISTS', P .. 'jobs', id) == 0 then
      redis.call('ZREM', slots, id)
    elseif holds then
      take_back(slots, id)
    end
  end
  through = through + open_gate(rows[index])
end
return {cursor, through}
