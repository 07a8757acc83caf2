-- A named lock. ARGV: 3 acquire or release; 4 name; 5 owner; 6 hold_us. Returns 1 where the owner has (had) it.
local key = P .. 'lock:' .. ARGV[4]
local until_us, owner = string.match(redis.call('GET', key) or '', '^(%d+) (.*)$')
local held = until_us and tonumber(until_us) > now
if ARGV[3] == 'release' then
  if not held or owner ~= ARGV[5] then return 0 end
  return redis.call('DEL', key)
end
if held and owner ~= ARGV[5] then return 0 end
-- The expiry only tidies up: a test may move the clock, the server's expiry does not follow.
redis.call('SET', key, text(now + ARGV[6]) .. ' ' .. ARGV[5], 'PX', math.ceil(ARGV[6] / 1000) + 86400000)
return 1
