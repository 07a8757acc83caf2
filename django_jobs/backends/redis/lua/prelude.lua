-- What every script begins with. KEYS[1] only names the slot; all other keys share its hash tag.
-- ARGV: 1 prefix of all keys, with the hash tag; 2 microseconds by which a test has moved the clock; 3.. the verb's own.
--
-- <p>jobs            hash  id -> record: 16 digits enqueued_us, 3 digits rank, 4 digits length of head, head, body
-- <p>meta            hash  id -> "attempt suspect place " and more, of a job that was claimed before; absent = never
-- <p>ready:<queue>   zset  id by place: what may be claimed
-- <p>suspects:<q>    zset  id by place: what is claimed alone
-- <p>due:<queue>     zset  id by at_us: enqueued for later
-- <p>retrying:<q>    zset  id by at_us: failed, waits for its next run
-- <p>parked:<queue>  zset  "task\nid", all 0, so that a task is a range; its place is in meta
-- <p>claims:<session> hash "child/number" -> lines of id, attempt, place, with tabs; the whole text is the fence of the claim
-- <p>holders         set   sessions that may have a key claims:<session>
-- <p>flags           set   ids of claimed jobs whose cancel is requested
-- <p>terminate       set   those of flags whose worker is to end them
-- <p>started         hash  id -> started_us of claimed jobs that run long
-- <p>marks           zset  ids that may not be enqueued, by 2 * until_us, + 1 where the job has ended
-- <p>result:<id>     text  16 digits of when it ended or was settled, a letter (S F C E Q for the status, small where
--                          we made the id), "attempt ", result; expires by itself
-- <p>progress:<id>  text  what a job has said about itself last; expires by itself
-- <p>ended:<letter>  zset  "id id .." of results that were written together, by these 16 digits
-- <p>out, out:ids    hash  "id" -> as result:<id>, and a list of these ids: results on their way to another store
-- <p>awaited         zset  ids that somebody waits for, by until_us; their ends are published on <p>end:<id>
-- <p>sessions        hash  session -> "started_us renewals", of a dead one " renewed_us" too, ":", what people see
-- <p>orders          hash  session -> lines of "[number,order]": what people have told a living worker
-- <p>renewed         zset  living sessions by renewed_us
-- <p>dead            zset  dead sessions by when they were declared dead
-- <p>uniques         hash  unique key -> "id queue mode": f held to the end, s to the first claim, else until_us
-- <p>uniques:until   zset  keys that are held for a time, by until_us
-- <p>bound           hash  id -> "unique key\nlimit's key\nqueue", of live jobs that are bound to others; of one that takes
--                          turns "\nf" and its key behind it
-- <p>turns:<line>    zset  key of turns by the place after the last one that it was given in a line: q<queue>, or
--                          l<limit's key>; a key that the head of its line has passed is not needed any more
-- <p>turns           set   such lines
-- <p>gate:<key>      zset  id by place: what waits for a limit; the same by queue in <p>gated:<queue>
-- <p>slots:<key>     zset  id by when it was let through: to the end of its claim
-- <p>limits          hash  key -> "slots period_us burst next_us timer_us": - for any number, 0 for no rate, no timer
-- <p>timers          zset  keys of limits by when they are to be looked at
-- <p>paused          hash  "queue <name>" or "task <name>" -> "since_us " and who and why, of what is paused
-- <p>withheld:<queue> zset  id by place: what a claim or a limit has met, and is paused
-- <p>held:<target>   zset  the same by the pause that holds it, "queue <name>" or "task <name>"
-- <p>holding         set   targets that may have a key held:<target>
-- <p>foreign         hash  id -> what stood for a job and was none
-- <p>ticks           hash  schedule -> the last tick that was enqueued, in us
-- <p>queues          set   names of queues that may hold a job
-- <p>seq             text  the tick given last
-- <p>wake:<queue>    list  one element at most: there may be work. wake:* is for who takes every queue
local P = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2] + ARGV[2]

local function text(number)
  return string.format('%.0f', number)
end

-- A place sorts by (rank, tick): 201 ranks of 2^45 ticks of 32 us since 2026 are exact in a double until 2061.
local function place_at(rank, at_us)
  return rank * 35184372088832 + math.max(0, math.floor((at_us - 1767225600000000) / 32))
end

local last_tick
local function next_place(rank)
  last_tick = last_tick or tonumber(redis.call('GET', P .. 'seq') or '0')
  last_tick = math.max(place_at(0, now), last_tick + 1)
  return rank * 35184372088832 + last_tick
end

local function keep_tick()
  if last_tick then redis.call('SET', P .. 'seq', text(last_tick)) end
end

-- One element at most: it wakes one worker, who leaves another where it leaves work.
local function wake(queue)
  for _, name in ipairs({queue, '*'}) do
    local key = P .. 'wake:' .. name
    if redis.call('LLEN', key) == 0 then
      redis.call('RPUSH', key, '1')
      redis.call('PEXPIRE', key, 60000)
    end
  end
end

-- Calls a command with many arguments in runs that fit Lua's stack; `size` is how many belong together.
local function call_many(command, key, arguments, size)
  local run = 4000 - 4000 % (size or 1)
  for first = 1, #arguments, run do
    redis.call(command, key, unpack(arguments, first, math.min(first + run - 1, #arguments)))
  end
end

local function read_many(command, key, ids)
  local found = {}
  for first = 1, #ids, 4000 do
    local part = redis.call(command, key, unpack(ids, first, math.min(first + 3999, #ids)))
    for index = 1, #part do found[first + index - 1] = part[index] end
  end
  return found
end

local function ids_of(claim)
  local ids = {}
  for id in string.gmatch(claim, '([^\t\n]+)\t[^\n]*\n') do ids[#ids + 1] = id end
  return ids
end

-- The one step in which a living session dies; its last renewal is kept for people.
local function die(session, renewed)
  redis.call('ZREM', P .. 'renewed', session)
  redis.call('ZADD', P .. 'dead', text(now), session)
  redis.call('HDEL', P .. 'orders', session)
  local known = redis.call('HGET', P .. 'sessions', session)
  if known then
    redis.call('HSET', P .. 'sessions', session, (string.gsub(known, '^(%d+ %d+)[^:]*', '%1 ' .. text(tonumber(renewed)))))
  end
end

local function split_bound(value)
  return string.match(value, '^([^\n]*)\n([^\n]*)\n([^\n]*)')
end

local known_pauses
-- Returns the targets that are paused as the keys of a table, or false; looked up once in a script.
local function pauses()
  if known_pauses == nil then
    known_pauses = redis.call('EXISTS', P .. 'paused') == 1 and {}
    if known_pauses then
      for _, target in ipairs(redis.call('HKEYS', P .. 'paused')) do known_pauses[target] = true end
    end
  end
  return known_pauses
end

-- Returns task and queue of a record; nothing of what is none.
local function head_of(record)
  local good, head = pcall(cmsgpack.unpack, string.sub(record, 24, 23 + (tonumber(string.sub(record, 20, 23)) or 0)))
  if good and type(head) == 'table' and type(head[1]) == 'string' and type(head[2]) == 'string' then
    return head[1], head[2]
  end
end

-- Returns the target whose pause holds a job, or nil; `pauses` has found some.
local function paused_by(queue, id)
  if known_pauses['queue ' .. queue] then return 'queue ' .. queue end
  local task = head_of(redis.call('HGET', P .. 'jobs', id) or '')
  if task and known_pauses['task ' .. task] then return 'task ' .. task end
end

-- Lets a job wait, at its place, for the end of the pause of a target.
local function put_aside(target, queue, place, id)
  redis.call('ZADD', P .. 'withheld:' .. queue, place, id)
  redis.call('ZADD', P .. 'held:' .. target, place, id)
  redis.call('SADD', P .. 'holding', target)
end

-- Lets a job wait for its limit, at its place.
local function enter_gate(key, queue, place, id)
  redis.call('ZADD', P .. 'gate:' .. key, place, id)
  redis.call('ZADD', P .. 'gated:' .. queue, place, id)
end

-- Keeps what a job says of its limit; it counts from now on for all of the key.
local function keep_limit(key, slots, period_us, burst)
  local _, _, _, next_us, timer_us =
    string.match(redis.call('HGET', P .. 'limits', key) or '- 0 1 0 0', '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  redis.call('HSET', P .. 'limits', key, table.concat({slots, period_us, burst, next_us, timer_us}, ' '))
end

-- How many starts a rate allows, and where the pace stands before them: see core/rate.py, which says the same.
local function allowance(key, period_us, burst, next_us, timer_us)
  local waited = timer_us == next_us - (burst - 1) * period_us
  if not waited or now - next_us > 1000000 then next_us = math.max(next_us, now) end
  local early_us = now - next_us + (burst - 1) * period_us
  if early_us < 0 then return 0, next_us end
  local most = math.min(math.max(burst, math.ceil(100000 / period_us)), 20)
  local unclaimed = 0
  for _, id in ipairs(redis.call('ZREVRANGE', P .. 'slots:' .. key, 0, most - 1)) do
    local _, _, queue = split_bound(redis.call('HGET', P .. 'bound', id) or '')
    if queue and (redis.call('ZSCORE', P .. 'ready:' .. queue, id) or redis.call('ZSCORE', P .. 'suspects:' .. queue, id)) then
      unclaimed = unclaimed + 1
    end
  end
  return math.min(math.floor(early_us / period_us) + 1, most - unclaimed), next_us
end

-- Returns what <p>limits says of a limit, from the first job that waits for it: the state of a limit is forgotten when
-- nobody waits, and jobs come back to it that were retried, parked or put aside.
local function limit_of_first(gate)
  local record = redis.call('HGET', P .. 'jobs', redis.call('ZRANGE', gate, 0, 0)[1] or '')
  if not record then return '' end
  local good, body = pcall(cjson.decode, string.sub(record, 24 + (tonumber(string.sub(record, 20, 23)) or 0)))
  local limit = good and type(body) == 'table' and type(body.bounds) == 'table' and body.bounds.limit
  if type(limit) ~= 'table' then return '' end
  local slots = type(limit.slots) == 'number' and text(limit.slots) or '-'
  local period_us = type(limit.period_us) == 'number' and text(limit.period_us) or '0'
  return table.concat({slots, period_us, text(tonumber(limit.burst) or 1), '0 0'}, ' ')
end

local gates_moved = false

-- Lets through who may, at most 100; a timer lets in the rest. Returns how many.
local function open_gate(key)
  local gate, holders = P .. 'gate:' .. key, P .. 'slots:' .. key
  local slots, period_us, burst, next_us, timer_us =
    string.match(redis.call('HGET', P .. 'limits', key) or limit_of_first(gate), '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  if not slots then return 0 end
  gates_moved = true
  period_us, burst, next_us, timer_us = tonumber(period_us), tonumber(burst), tonumber(next_us), tonumber(timer_us)
  local free, through = 100, 0
  if slots ~= '-' then free = math.min(free, tonumber(slots) - redis.call('ZCARD', holders)) end
  if period_us > 0 then
    local starts
    starts, next_us = allowance(key, period_us, burst, next_us, timer_us)
    free = math.min(free, starts)
  end
  local aside, holds = 0, pauses()
  while through < free and aside < 1000 do
    local popped = redis.call('ZPOPMIN', gate, free - through)
    if #popped == 0 then break end
    for index = 1, #popped, 2 do
      local id, place = popped[index], text(tonumber(popped[index + 1]))
      local _, _, queue = split_bound(redis.call('HGET', P .. 'bound', id) or '')
      if queue then
        local target = holds and paused_by(queue, id)
        redis.call('ZREM', P .. 'gated:' .. queue, id)
        if target then
          put_aside(target, queue, place, id)
          aside = aside + 1
        else
          local suspect = string.match(redis.call('HGET', P .. 'meta', id) or '', '^%d+ (%d) ') == '1'
          redis.call('ZADD', P .. (suspect and 'suspects:' or 'ready:') .. queue, place, id)
          redis.call('ZADD', holders, text(now), id)
          wake(queue)
          through = through + 1
        end
      end
    end
  end
  local full = through == 100 or aside >= 1000
  next_us = next_us + period_us * through
  local waiting, at_us = redis.call('ZCARD', gate), 0
  timer_us = 0
  if waiting > 0 and (period_us > 0 or full) then
    at_us = period_us > 0 and next_us - (burst - 1) * period_us or now
    if at_us <= now then at_us = now + (full and 1000 or 200000) end
    timer_us = at_us
  elseif waiting == 0 and next_us > now then
    at_us = next_us -- to forget it then
  end
  if at_us > 0 then redis.call('ZADD', P .. 'timers', text(at_us), key) else redis.call('ZREM', P .. 'timers', key) end
  if waiting == 0 and at_us == 0 and redis.call('ZCARD', holders) == 0 then
    redis.call('HDEL', P .. 'limits', key)
  else
    redis.call('HSET', P .. 'limits', key,
      table.concat({slots, text(period_us), text(burst), text(next_us), text(timer_us)}, ' '))
  end
  return through
end

-- Keys of limits at which a place has become free, or somebody has come, in this script.
local touched = {}

local function open_touched()
  for key in pairs(touched) do
    touched[key] = nil
    open_gate(key)
  end
end

local function next_timer()
  return tonumber(redis.call('ZRANGE', P .. 'timers', 0, 0, 'WITHSCORES')[2]) or math.huge
end

-- Looks at the limits whose time has come.
local function open_timed()
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', P .. 'timers', '-inf', text(now), 'LIMIT', 0, 100)) do
    redis.call('ZREM', P .. 'timers', key)
    open_gate(key)
  end
end

-- Frees what binds jobs that have ended to others; the caller opens what was touched.
local function unbind(ids)
  local found = read_many('HMGET', P .. 'bound', ids)
  for index, id in ipairs(ids) do
    if found[index] then
      local key, limit, queue = split_bound(found[index])
      redis.call('HDEL', P .. 'bound', id)
      if key ~= '' then
        local holder, mode = string.match(redis.call('HGET', P .. 'uniques', key) or '', '^(%S+) %S+ (%S+)$')
        if holder == id and (mode == 'f' or mode == 's') then redis.call('HDEL', P .. 'uniques', key) end
      end
      if limit ~= '' then
        redis.call('ZREM', P .. 'slots:' .. limit, id)
        redis.call('ZREM', P .. 'gate:' .. limit, id)
        redis.call('ZREM', P .. 'gated:' .. queue, id)
        touched[limit] = true
      end
    end
  end
end

-- Forgets jobs that have ended; the caller has checked their fence. It frees memory before anything is written.
local function drop_jobs(ids)
  call_many('HDEL', P .. 'jobs', ids)
  if redis.call('EXISTS', P .. 'meta', P .. 'flags', P .. 'started', P .. 'bound') > 0 then
    call_many('HDEL', P .. 'meta', ids)
    if redis.call('EXISTS', P .. 'flags') == 1 then
      call_many('SREM', P .. 'flags', ids)
      call_many('SREM', P .. 'terminate', ids)
    end
    call_many('HDEL', P .. 'started', ids)
    if redis.call('EXISTS', P .. 'bound') == 1 then unbind(ids) end
  end
end

-- Marks ids as ended, and takes out twice as many marks whose time is over, so that they cannot pile up.
local function mark_ended(ids, mark_us)
  local arguments = {}
  for _, id in ipairs(ids) do
    arguments[#arguments + 1] = text((now + mark_us) * 2 + 1)
    arguments[#arguments + 1] = id
  end
  call_many('ZADD', P .. 'marks', arguments, 2)
  local over = redis.call('ZRANGEBYSCORE', P .. 'marks', '-inf', text(now * 2), 'LIMIT', 0, #ids * 2)
  if #over > 0 then redis.call('ZREMRANGEBYRANK', P .. 'marks', 0, #over - 1) end
end

local function publish_ends(ids)
  if #ids == 0 or redis.call('EXISTS', P .. 'awaited') == 0 then return end
  local awaited = read_many('ZMSCORE', P .. 'awaited', ids)
  for index = 1, #ids do
    if awaited[index] then
      redis.call('ZREM', P .. 'awaited', ids[index])
      redis.call('PUBLISH', P .. 'end:' .. ids[index], '1')
    end
  end
end

-- Keeps results here: ids and blobs stand in turn in ARGV, from first to last. Their letter is the blobs' first one. The
-- index has one member for all of them, and lets prune find them; expiry drops them. What has expired leaves the index.
local function keep_results(letter, ttl_ms, first, last)
  local ids, count, stamp, key, index = {}, 0, text(now), P .. 'result:', P .. 'ended:' .. string.upper(letter)
  for at = first, last, 2 do
    redis.call('SET', key .. ARGV[at], stamp .. ARGV[at + 1], 'PX', ttl_ms)
    count = count + 1
    ids[count] = ARGV[at]
  end
  redis.call('ZADD', index, stamp, table.concat(ids, ' '))
  local over = redis.call('ZRANGEBYSCORE', index, '-inf', text(now - ttl_ms * 1000), 'LIMIT', 0, 10)
  if #over > 0 then redis.call('ZREMRANGEBYRANK', index, 0, #over - 1) end
end

-- Puts results on their way to another store.
local function send_out(first, last)
  local fields, ids, stamp = {}, {}, text(now)
  for at = first, last, 2 do
    fields[#fields + 1] = ARGV[at]
    fields[#fields + 1] = stamp .. ARGV[at + 1]
    ids[#ids + 1] = ARGV[at]
  end
  call_many('HSET', P .. 'out', fields, 2)
  call_many('RPUSH', P .. 'out:ids', ids)
end

-- Ends a waiting job CANCELLED, if it still waits as it was seen. In ARGV from `at`: key of its line; member there; meta as
-- seen, or ""; as in exchange: kind R or O; letter; ttl_ms; mark_us; id; blob. `check` only looks. Returns whether it did.
local function end_waiting(at, check)
  local line, member, meta, kind, id = P .. ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 7]
  if (redis.call('HGET', P .. 'meta', id) or '') ~= meta or not redis.call('ZSCORE', line, member) then return false end
  if check then return true end
  redis.call('ZREM', line, member)
  if string.sub(ARGV[at], 1, 9) == 'withheld:' then
    for _, target in ipairs(redis.call('SMEMBERS', P .. 'holding')) do redis.call('ZREM', P .. 'held:' .. target, id) end
  end
  drop_jobs({id})
  if kind == 'R' then keep_results(ARGV[at + 4], tonumber(ARGV[at + 5]), at + 7, at + 8) else send_out(at + 7, at + 8) end
  if tonumber(ARGV[at + 6]) > 0 then mark_ended({id}, tonumber(ARGV[at + 6])) end
  publish_ends({id})
  return true
end
