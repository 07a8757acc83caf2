-- Cancels one job as it was seen, or tells that it has changed since. ARGV: 3 id; 4 verb, and for it
--   take   5.. as end_waiting has them
--   flag   5 session; 6 field of the claim that holds it; 7 1 where its worker is to end it, else 0
--   mark   5 mark_us. Nobody knows the id: it will never start.
-- Returns "done", "again" (look once more), or for mark: the stored result, "ended", or "marked".
local id, verb = ARGV[3], ARGV[4]
if verb == 'take' then
  if not end_waiting(5) then return 'again' end
  open_touched()
  return 'done'
end
if verb == 'flag' then
  local claim = redis.call('HGET', P .. 'claims:' .. ARGV[5], ARGV[6]) or ''
  if not string.find('\n' .. claim, '\n' .. id .. '\t', 1, true) then return 'again' end
  redis.call('SADD', P .. 'flags', id)
  if ARGV[7] == '1' then redis.call('SADD', P .. 'terminate', id) end
  return 'done'
end
if redis.call('HEXISTS', P .. 'jobs', id) == 1 then return 'again' end
local stored = redis.call('GET', P .. 'result:' .. id) or redis.call('HGET', P .. 'out', id)
if stored then return stored end
local mark = tonumber(redis.call('ZSCORE', P .. 'marks', id) or '0')
if mark > now * 2 + 1 and mark % 2 == 1 then return 'ended' end
redis.call('ZADD', P .. 'marks', text((now + ARGV[5]) * 2), id)
return 'marked'
