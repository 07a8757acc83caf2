-- Puts what is no job of ours aside. ARGV: 3 session; 4 field; 5 expected text of the claim; 6 text that is left; 7.. ids.
-- Their values stay in <p>foreign, for people. Returns 1, or 0 where another text is stored.
local claims = P .. 'claims:' .. ARGV[3]
if redis.call('HGET', claims, ARGV[4]) ~= ARGV[5] then return 0 end
redis.call('HDEL', claims, ARGV[4])
if ARGV[6] ~= '' then redis.call('HSET', claims, ARGV[4], ARGV[6]) end
for index = 7, #ARGV do
  redis.call('HSET', P .. 'foreign', ARGV[index], redis.call('HGET', P .. 'jobs', ARGV[index]) or '')
  drop_jobs({ARGV[index]})
end
open_touched()
return 1
