-- Takes in jobs that are bound to others, all or none. ARGV: 3 schedule, or ""; 4 its tick_us; 5 1 where a conflict may be
-- told; then SIZE for each: id; queue; rank; when; record as in enqueue; unique key, or ""; mode: f, s, or for_us; conflict:
-- existing, replace or raise; its limit's key, or ""; slots; period_us; burst; "f" and its key of turns, or ""; id of the job
-- that may be replaced, or "", and for it nine as end_waiting has them.
-- Returns for each 1 where it is new, 0 where its id is known or the tick is not new, or the id of the job that holds its
-- key. Instead, and then nothing was written: {"conflict", number, holder}, or {"look", number, holder} where the holder
-- waits and may be replaced, once the caller has looked at it.
local SIZE = 23
local count = (#ARGV - 5) / SIZE
local schedule, tick, raises = ARGV[3], ARGV[4], ARGV[5] == '1'

if schedule ~= '' then
  local last = redis.call('HGET', P .. 'ticks', schedule)
  if last and tonumber(last) >= tonumber(tick) then return {0} end
end

local function is_known(id)
  local mark = tonumber(redis.call('ZSCORE', P .. 'marks', id) or '0')
  return mark > now * 2 + 1 or redis.call('HEXISTS', P .. 'jobs', id) == 1
    or redis.call('EXISTS', P .. 'result:' .. id) == 1 or redis.call('HEXISTS', P .. 'out', id) == 1
end

local function waits(id, queue)
  for _, kind in ipairs({'ready:', 'due:', 'retrying:', 'suspects:', 'gated:', 'withheld:'}) do
    if redis.call('ZSCORE', P .. kind .. queue, id) then return true end
  end
  local parked = redis.call('HGET', P .. 'meta', id)
  return parked ~= false and redis.call('HEXISTS', P .. 'jobs', id) == 1 and redis.call('ZCARD', P .. 'parked:' .. queue) > 0
end

-- Returns the id of the job that holds a key, and whether it may be replaced; nil for a free key.
local function holder_of(key)
  local id, queue, mode = string.match(redis.call('HGET', P .. 'uniques', key) or '', '^(%S+) (%S+) (%S+)$')
  if not id then return nil end
  local lives = redis.call('HEXISTS', P .. 'jobs', id) == 1
  if mode ~= 'f' and mode ~= 's' then
    if tonumber(mode) <= now then return nil end
    return id, lives and waits(id, queue)
  end
  if not lives then return nil end
  local waiting = waits(id, queue)
  if mode == 's' and (not waiting or redis.call('HEXISTS', P .. 'meta', id) == 1) then return nil end
  return id, waiting
end

local answers, taken, ids = {}, {}, {}
for index = 1, count do
  local at = 6 + (index - 1) * SIZE
  local id, key, conflict, replaced = ARGV[at], ARGV[at + 5], ARGV[at + 7], ARGV[at + 13]
  answers[index] = 1
  if ids[id] or is_known(id) then
    answers[index] = 0
  elseif key ~= '' then
    local holder, waiting = taken[key], false
    if not holder then holder, waiting = holder_of(key) end
    if holder and conflict == 'raise' and raises then return {'conflict', index, holder} end
    if holder and conflict == 'replace' and waiting then
      if holder ~= replaced or not end_waiting(at + 14, true) then return {'look', index, holder} end
      holder = nil
    end
    if holder then answers[index] = holder else taken[key] = id end
  end
  if answers[index] == 1 then ids[id] = true end
end

if schedule ~= '' then redis.call('HSET', P .. 'ticks', schedule, tick) end
for index = 1, count do
  if answers[index] == 1 then
    local at = 6 + (index - 1) * SIZE
    local id, queue, rank, when, key = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 5]
    local limit, turn = ARGV[at + 8], ARGV[at + 12]
    if key ~= '' or limit ~= '' or turn ~= '' then
      local bound = key .. '\n' .. limit .. '\n' .. queue
      redis.call('HSET', P .. 'bound', id, turn ~= '' and bound .. '\n' .. turn or bound)
    end
    if key ~= '' then
      if ARGV[at + 13] ~= '' then end_waiting(at + 14) end
      local mode = ARGV[at + 6]
      if mode ~= 'f' and mode ~= 's' then
        mode = text(now + mode)
        redis.call('ZADD', P .. 'uniques:until', mode, key)
      else
        redis.call('ZREM', P .. 'uniques:until', key)
      end
      redis.call('HSET', P .. 'uniques', key, id .. ' ' .. queue .. ' ' .. mode)
    end
    redis.call('HSET', P .. 'jobs', id, text(now) .. string.format('%03d', rank) .. ARGV[at + 4])
    redis.call('SADD', P .. 'queues', queue)
    local kind, at_us = string.sub(when, 1, 1), tonumber(string.sub(when, 2)) or 0
    if kind == '+' then at_us = now + at_us end
    if at_us > now then
      redis.call('ZADD', P .. 'due:' .. queue, text(at_us), id)
    else
      local place = turn == '' and next_place(rank) or turn_place(queue, limit, rank, string.sub(turn, 2))
      if limit ~= '' then
        enter_gate(limit, queue, text(place), id)
        touched[limit] = true
      else
        redis.call('ZADD', P .. 'ready:' .. queue, text(place), id)
      end
    end
    if limit ~= '' then keep_limit(limit, ARGV[at + 9], ARGV[at + 10], ARGV[at + 11]) end
    wake(queue)
  end
end
open_touched()
keep_tick()
keep_turns()
return answers
