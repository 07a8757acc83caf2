-- Starts an ended job again. ARGV: 3 id; 4 its stored result as seen, or "" where another store keeps results;
-- 5 queue; 6 rank; 7 meta; 8 record without its 19 digits; 9 unique key that it holds to its end, or "";
-- 10 its limit's key, or ""; 11 slots; 12 period_us; 13 burst; 14 "f" and its key of turns, or "".
-- Returns 1, or 0 where it has changed or is live, or another job holds the key.
local id = ARGV[3]
if redis.call('HEXISTS', P .. 'jobs', id) == 1 then return 0 end
local leaving = redis.call('HGET', P .. 'out', id)
if ARGV[4] ~= '' then
  if (redis.call('GET', P .. 'result:' .. id) or leaving) ~= ARGV[4] then return 0 end
elseif leaving then
  return 0
end
if ARGV[9] ~= '' then
  local holder, mode = string.match(redis.call('HGET', P .. 'uniques', ARGV[9]) or '', '^(%S+) %S+ (%S+)$')
  if holder and (tonumber(mode) or 0) > now then return 0 end
  if holder and not tonumber(mode) and redis.call('HEXISTS', P .. 'jobs', holder) == 1 then return 0 end
  redis.call('ZREM', P .. 'uniques:until', ARGV[9])
  redis.call('HSET', P .. 'uniques', ARGV[9], id .. ' ' .. ARGV[5] .. ' f')
end
local limit, turn = ARGV[10], ARGV[14]
if ARGV[9] ~= '' or limit ~= '' or turn ~= '' then
  local bound = ARGV[9] .. '\n' .. limit .. '\n' .. ARGV[5]
  redis.call('HSET', P .. 'bound', id, turn ~= '' and bound .. '\n' .. turn or bound)
end
redis.call('HSET', P .. 'jobs', id, text(now) .. string.format('%03d', ARGV[6]) .. ARGV[8])
redis.call('HSET', P .. 'meta', id, ARGV[7])
redis.call('DEL', P .. 'result:' .. id)
redis.call('HDEL', P .. 'out', id)
redis.call('ZREM', P .. 'marks', id)
redis.call('SADD', P .. 'queues', ARGV[5])
local rank = tonumber(ARGV[6])
local place = text(turn == '' and next_place(rank) or turn_place(ARGV[5], limit, rank, string.sub(turn, 2)))
if limit ~= '' then
  enter_gate(limit, ARGV[5], place, id)
  keep_limit(limit, ARGV[11], ARGV[12], ARGV[13])
  open_gate(limit)
else
  redis.call('ZADD', P .. 'ready:' .. ARGV[5], place, id)
end
wake(ARGV[5])
keep_tick()
keep_turns()
return 1
