-- Turns inside a queue: the places of jobs that have a key for it. What stands between the prelude and the scripts that
-- give such places.

-- The key by which a job takes turns, of its value in bound; nil for none.
local function turn_of(value)
  return string.match(value, '^[^\n]*\n[^\n]*\n[^\n]*\nf(.*)$')
end

local RANKS = 35184372088832
local heads, turns = {}, {}

-- Where newcomers of a rank stand in a line: at its head, else at the queue's, else now or behind the last place given.
local function line_begin(queue, limit, rank)
  local lines = limit ~= '' and {'gate:' .. limit, 'ready:' .. queue} or {'ready:' .. queue}
  for _, line in ipairs(lines) do
    local first = redis.call('ZRANGEBYSCORE', P .. line, text(rank * RANKS), '(' .. text((rank + 1) * RANKS),
      'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then return tonumber(first[2]) end
  end
  local last = redis.call('ZREVRANGEBYSCORE', P .. 'turns:' .. (limit ~= '' and 'l' .. limit or 'q' .. queue),
    '(' .. text((rank + 1) * RANKS), text(rank * RANKS), 'WITHSCORES', 'LIMIT', 0, 1)
  return math.max(place_at(rank, now), tonumber(last[2] or '0'))
end

-- Gives the next place of a key of turns: see core/fairness.py. Who calls it calls keep_turns at the end.
local function turn_place(queue, limit, rank, key)
  local line = limit ~= '' and 'l' .. limit or 'q' .. queue
  turns[line] = turns[line] or {}
  local member = rank .. ' ' .. key
  local turn = turns[line][member]
  if not turn then
    local name = line .. ' ' .. rank .. ' ' .. queue
    heads[name] = heads[name] or line_begin(queue, limit, rank)
    turn = {place = tonumber(redis.call('ZSCORE', P .. 'turns:' .. line, member) or '0'), head = heads[name], rank = rank}
    turns[line][member] = turn
  end
  local place = math.max(turn.place, turn.head)
  turn.place = place + 1
  return place
end

-- Drops keys of turns from a line that its head has passed, at most so many; returns how many.
local function drop_turns(line, rank, head, most)
  local over = redis.call('ZRANGEBYSCORE', P .. 'turns:' .. line, text(rank * RANKS), text(head), 'LIMIT', 0, most)
  if #over > 0 then redis.call('ZREM', P .. 'turns:' .. line, unpack(over)) end
  return #over
end

-- Writes the places that were given, and drops twice as many keys that are not needed any more.
local function keep_turns()
  for line, given in pairs(turns) do
    redis.call('SADD', P .. 'turns', line)
    for member, turn in pairs(given) do
      redis.call('ZADD', P .. 'turns:' .. line, text(turn.place), member)
      drop_turns(line, turn.rank, turn.head, 2)
    end
  end
end

-- Drops keys that are not needed any more from a line whose name is all that is known; returns how many.
local function sweep_turns(line, most)
  local name, dropped = string.sub(line, 2), 0
  local limit, queue = '', name
  if string.sub(line, 1, 1) == 'l' then
    limit, queue = name, ''
    if redis.call('EXISTS', P .. 'gate:' .. limit) == 0 and redis.call('HEXISTS', P .. 'limits', limit) == 1 then
      return 0 -- those whom it has let through still wait in lines that are not looked at here
    end
  end
  local from = '-inf'
  while dropped < most do -- one probe for each priority that is there
    local first = redis.call('ZRANGEBYSCORE', P .. 'turns:' .. line, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #first == 0 then break end
    local rank = math.floor(tonumber(first[2]) / RANKS)
    local head = math.min(line_begin(queue, limit, rank), place_at(rank, now)) -- the last place stays while it is ahead
    dropped = dropped + drop_turns(line, rank, head, most - dropped)
    from = text((rank + 1) * RANKS)
  end
  if redis.call('EXISTS', P .. 'turns:' .. line) == 0 then redis.call('SREM', P .. 'turns', line) end
  return dropped
end
