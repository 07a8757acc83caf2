-- Says that somebody waits for ids. ARGV: 3 until_us from now; 4.. ids. Returns 1 where one of them has a result already.
for index = 4, #ARGV do
  if redis.call('EXISTS', P .. 'result:' .. ARGV[index]) == 1 or redis.call('HEXISTS', P .. 'out', ARGV[index]) == 1 then
    return 1
  end
  redis.call('ZADD', P .. 'awaited', text(now + ARGV[3]), ARGV[index])
end
return 0
