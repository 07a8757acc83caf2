-- Lets jobs through that wait behind a limit with room, and frees the places of jobs that are not live.
-- ARGV: 3 where the last call ended, or 0; 4 about how many keys. Returns where this one ended, and how many jobs.
local cursor, rows = unpack(redis.call('HSCAN', P .. 'limits', ARGV[3], 'COUNT', ARGV[4]))
local through = 0
for index = 1, #rows, 2 do
  local slots = P .. 'slots:' .. rows[index]
  for _, id in ipairs(redis.call('ZRANGE', slots, 0, 99)) do
    if redis.call('HEXISTS', P .. 'jobs', id) == 0 then redis.call('ZREM', slots, id) end
  end
  through = through + open_gate(rows[index])
end
return {cursor, through}
