-- Settles what belongs to claims, then claims: the hot path, one round trip for both.
-- ARGV from 3: number of groups; each group: session; field; expected text of the claim; text that is left of it;
--   number of blocks; each block one of
--   R letter ttl_ms mark_us n (id blob)*n     ended, the result is kept here; mark_us 0 where the result lasts longer
--   O mark_us n (id blob)*n                   ended, the result goes to the out-list
--   E mark_us n (id)*n                        ended, nothing is kept
--   B id where queue place at task meta       goes back: ready, suspects (place "" = the end of the line), due and
--                                             retrying (at = delay_us), parked
-- then the want, or nothing: session; field; limit; max_bytes;
--   suspects 0 or 1; out_limit: nothing is claimed while so many results wait for the other store; queues..
-- Returns now, the numbers of groups that were refused (another text is stored, or a cancel was requested), and where
-- none was, for a want: the claim's text, records, metas, 1 where there may be more, the earliest later at_us or "".
local cursor = 3
local function take()
  cursor = cursor + 1
  return ARGV[cursor - 1]
end

local function settle_ready(group)
  if redis.call('HGET', P .. 'claims:' .. group.session, group.field) ~= group.expected then return false end
  for _, back in ipairs(group.back) do
    if redis.call('SISMEMBER', P .. 'flags', back.id) == 1 then return false end
  end
  return true
end

local function read_group()
  local group = {session = take(), field = take(), expected = take(), left = take(), gone = {}, ends = {}, back = {}}
  for _ = 1, tonumber(take()) do
    local block = {kind = take()}
    if block.kind == 'B' then
      block.id, block.where, block.queue, block.place = take(), take(), take(), take()
      block.at, block.task, block.meta = take(), take(), take()
      group.back[#group.back + 1] = block
    else
      if block.kind == 'R' then block.letter, block.ttl_ms = take(), tonumber(take()) end
      block.mark_us = tonumber(take())
      local count, step = tonumber(take()), block.kind == 'E' and 1 or 2
      block.first, block.last = cursor, cursor + count * step - 1
      cursor = cursor + count * step
      local gone, total = group.gone, #group.gone
      for index = block.first, block.last, step do
        total = total + 1
        gone[total] = ARGV[index]
      end
      block.step = step
      group.ends[#group.ends + 1] = block
    end
  end
  return group
end

-- Takes the place away that a limit gave a job; returns the limit's key, or "" for a job without.
local function leave_slot(id)
  local value = redis.call('HGET', P .. 'bound', id)
  if not value then return '' end
  local _, limit = split_bound(value)
  if limit ~= '' then
    redis.call('ZREM', P .. 'slots:' .. limit, id)
    touched[limit] = true
  end
  return limit
end

local function put_back(block)
  local id, where = block.id, block.where
  local limit = leave_slot(id)
  redis.call('HDEL', P .. 'started', id)
  redis.call('HSET', P .. 'meta', id, block.meta)
  redis.call('SADD', P .. 'queues', block.queue)
  if where == 'retrying' then
    redis.call('ZADD', P .. 'retrying:' .. block.queue, text(now + block.at), id)
    wake(block.queue)
  elseif where == 'parked' then
    redis.call('ZADD', P .. 'parked:' .. block.queue, 0, block.task .. '\n' .. id)
  else
    local place = block.place
    if place == '' then place = text(next_place(tonumber(block.at))) end
    if limit ~= '' then
      enter_gate(limit, block.queue, place, id)
    else
      redis.call('ZADD', P .. where .. ':' .. block.queue, place, id)
    end
    wake(block.queue)
  end
end

local function settle(group)
  local claims = P .. 'claims:' .. group.session
  redis.call('HDEL', claims, group.field) -- first: what frees memory may run where memory is short
  drop_jobs(group.gone)
  if group.left ~= '' then redis.call('HSET', claims, group.field, group.left) end
  for _, block in ipairs(group.ends) do
    if block.kind == 'R' then keep_results(block.letter, block.ttl_ms, block.first, block.last) end
    if block.kind == 'O' then send_out(block.first, block.last) end
    if block.mark_us > 0 then
      local ids = {}
      for index = block.first, block.last, block.step do ids[#ids + 1] = ARGV[index] end
      mark_ended(ids, block.mark_us)
    end
  end
  for _, block in ipairs(group.back) do put_back(block) end
  publish_ends(group.gone)
end

local refused = {}
for number = 1, tonumber(take()) do
  local group = read_group()
  if settle_ready(group) then settle(group) else refused[#refused + 1] = number end
end
open_touched()
keep_tick()
if cursor > #ARGV or #refused > 0 then return {text(now), refused} end -- what is refused is settled before the claim

local session, field, limit, max_bytes = take(), take(), tonumber(take()), tonumber(take())
local suspects, out_limit = take() == '1', tonumber(take())
local queues, holds, tasks_paused = {unpack(ARGV, cursor)}, pauses(), false
if holds then
  queues = {}
  for index = cursor, #ARGV do
    if not holds['queue ' .. ARGV[index]] then queues[#queues + 1] = ARGV[index] end
  end
  for target in pairs(holds) do tasks_paused = tasks_paused or string.sub(target, 1, 5) == 'task ' end
end
local claims = P .. 'claims:' .. session

local timer = next_timer()

-- Moves what is due into line, at the place of its time; at most 1000 of each kind and call.
local function promote(queue)
  for _, kind in ipairs({'due:', 'retrying:'}) do
    local found = redis.call('ZRANGEBYSCORE', P .. kind .. queue, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, 1000)
    if #found > 0 then
      local ids, members = {}, {}
      for index = 1, #found, 2 do ids[#ids + 1] = found[index] end
      local records = read_many('HMGET', P .. 'jobs', ids)
      local bounds = redis.call('EXISTS', P .. 'bound') == 1 and read_many('HMGET', P .. 'bound', ids) or {}
      redis.call('ZREMRANGEBYRANK', P .. kind .. queue, 0, #ids - 1)
      for index, id in ipairs(ids) do
        if records[index] then
          local rank = tonumber(string.sub(records[index], 17, 19)) or 0 -- foreign: a claim puts it aside
          local place, limit, turn = nil, '', nil
          if bounds[index] then
            _, limit = split_bound(bounds[index])
            turn = turn_of(bounds[index])
          end
          place = text(turn and turn_place(queue, limit, rank, turn) or place_at(rank, tonumber(found[index * 2])))
          if limit ~= '' then
            enter_gate(limit, queue, place, id)
            touched[limit] = true
          else
            members[#members + 1] = place
            members[#members + 1] = id
          end
        end
      end
      call_many('ZADD', P .. 'ready:' .. queue, members, 2)
    end
  end
end

local claimed, records, metas, lines, size, count, aside = {}, {}, {}, {}, 0, 0, 0

-- Puts a job aside that has come to the head of its line, if its task is paused; says whether it was.
local function keep_back(queue, id, record, place)
  local target = 'task ' .. (head_of(record) or '')
  if not holds[target] then return false end
  leave_slot(id)
  put_aside(target, queue, text(tonumber(place)), id)
  aside = aside + 1
  return true
end

-- Pops from one line until the limit or the size is reached; what is too much goes back to its place.
local function pop(kind, queue)
  local line = P .. kind .. queue
  while count < limit and aside < 1000 do
    local popped = redis.call('ZPOPMIN', line, math.min(100, limit - count))
    local got = #popped / 2
    if got == 0 then return true end
    local ids, whole = {}, size
    for index = 1, got do ids[index] = popped[index * 2 - 1] end
    local found = redis.call('HMGET', P .. 'jobs', unpack(ids))
    for index = 1, got do
      if found[index] then whole = whole + #found[index] end
    end
    for index = 1, got do
      local id, record = ids[index], found[index]
      if record and not (tasks_paused and keep_back(queue, id, record, popped[index * 2])) then
        if whole > max_bytes then size = size + #record - 23 - (tonumber(string.sub(record, 20, 23)) or 0) end
        if size > max_bytes and count > 0 then
          local rest = {}
          for back = index, #ids do
            rest[#rest + 1] = text(tonumber(popped[back * 2]))
            rest[#rest + 1] = ids[back]
          end
          redis.call('ZADD', line, unpack(rest))
          return false
        end
        count = count + 1
        claimed[count], records[count], lines[count] = id, record, popped[index * 2]
      end
    end
    if whole <= max_bytes then size = whole end
  end
  return true
end

local function read_metas()
  if #claimed == 0 or redis.call('EXISTS', P .. 'meta') == 0 then return {} end
  return read_many('HMGET', P .. 'meta', claimed)
end

local function claim()
  for _, queue in ipairs(queues) do promote(queue) end
  open_touched()
  keep_turns()
  if timer <= now then open_timed() end
  if suspects then
    local asked = limit
    limit = 1
    for _, queue in ipairs(queues) do
      if count == 0 then pop('suspects:', queue) end
    end
    limit = asked
    if aside > 0 then open_touched() end
  end
  if count == 0 then
    repeat
      local before = aside
      for _, queue in ipairs(queues) do
        if not pop('ready:', queue) then break end
      end
      open_touched() -- those who have places now that jobs of a paused task had
    until aside == before or aside >= 1000
  end
  if count == 0 then return '' end
  metas = read_metas()
  for index = 1, count do
    local attempt = metas[index] and tonumber(string.match(metas[index], '^%d+')) or 0
    local place = lines[index] -- some servers write large scores with an exponent
    if string.find(place, 'e', 1, true) then place = text(tonumber(place)) end
    lines[index] = claimed[index] .. '\t' .. (attempt + 1) .. '\t' .. place .. '\n'
  end
  local whole = table.concat(lines)
  redis.call('HSET', claims, field, whole)
  redis.call('SADD', P .. 'holders', session)
  return whole
end

local whole = ''
if not redis.call('ZSCORE', P .. 'dead', session) then
  whole = redis.call('HGET', claims, field)
  if whole then
    claimed = ids_of(whole)
    records = read_many('HMGET', P .. 'jobs', claimed)
    metas = read_metas()
  elseif redis.call('HLEN', P .. 'out') < out_limit then
    whole = claim()
  else
    whole = ''
  end
end

local more, later = 0, ''
for _, queue in ipairs(queues) do
  if redis.call('EXISTS', P .. 'ready:' .. queue) == 1 then
    more = 1
    wake(queue)
  end
  for _, kind in ipairs({'due:', 'retrying:'}) do
    local first = redis.call('ZRANGE', P .. kind .. queue, 0, 0, 'WITHSCORES')
    if #first > 0 and (later == '' or tonumber(first[2]) < later) then later = tonumber(first[2]) end
  end
end
if gates_moved then timer = next_timer() end
if timer < (later == '' and math.huge or later) then later = timer end
if later ~= '' then later = text(later) end
return {text(now), refused, whole, records, metas, more, later}
