-- The life of a session. ARGV: 3 verb; 4 session; 5 what people see of it (open, renew).
--   open   makes it known and alive, unless it is dead; returns 1, or 0 where it is dead
--   renew  renews it and returns the fields of its claims; nothing where it is dead or unknown
--   close  declares it dead
local verb, session = ARGV[3], ARGV[4]
if verb == 'close' then
  local renewed = redis.call('ZSCORE', P .. 'renewed', session)
  if renewed then die(session, renewed) end
  return 1
end
if verb == 'open' then
  if redis.call('ZSCORE', P .. 'dead', session) then return 0 end
  local known = redis.call('HGET', P .. 'sessions', session)
  local start = known and string.match(known, '^%d+ %d+:') or (text(now) .. ' 0:')
  redis.call('HSET', P .. 'sessions', session, start .. ARGV[5])
  redis.call('ZADD', P .. 'renewed', text(now), session)
  return 1
end
if redis.call('ZREM', P .. 'renewed', session) == 0 then return false end -- it also lets the rest write where memory is short
redis.call('ZADD', P .. 'renewed', text(now), session)
local known = redis.call('HGET', P .. 'sessions', session) or (text(now) .. ' 0:')
local started, renewals = string.match(known, '^(%d+) (%d+):')
redis.call('HSET', P .. 'sessions', session, started .. ' ' .. (renewals + 1) .. ':' .. ARGV[5])
return redis.call('HKEYS', P .. 'claims:' .. session)
