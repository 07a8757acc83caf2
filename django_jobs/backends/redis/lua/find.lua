-- Shows live jobs. ARGV from 3: ids.
-- Returns now, and for each id that is live: id, record, meta or "", where, score or the text of its claim's name,
-- 1 where its cancel is requested, started_us or "", its attempt where it is claimed.
local ids = {unpack(ARGV, 3)}
local found, holders = {}, nil

local function claim_of(id)
  holders = holders or redis.call('SMEMBERS', P .. 'holders')
  for _, session in ipairs(holders) do
    local claims = redis.call('HGETALL', P .. 'claims:' .. session)
    for index = 1, #claims, 2 do
      local at = string.find('\n' .. claims[index + 1], '\n' .. id .. '\t', 1, true)
      if at then return session .. '/' .. claims[index], string.match(claims[index + 1], '^[^\t]+\t(%d+)', at) end
    end
  end
  return '', '0'
end

for _, id in ipairs(ids) do
  local record = redis.call('HGET', P .. 'jobs', id)
  if record then
    local meta = redis.call('HGET', P .. 'meta', id) or ''
    local where, score, attempt = 'claimed', nil, '0'
    local task, queue = head_of(record)
    if task then
      for _, kind in ipairs({'ready', 'due', 'retrying', 'suspects', 'gated', 'parked', 'withheld'}) do
        local member = kind == 'parked' and (task .. '\n' .. id) or id
        score = redis.call('ZSCORE', P .. kind .. ':' .. queue, member)
        if score then
          where = kind
          break
        end
      end
    end
    if score then score = text(tonumber(score)) else score, attempt = claim_of(id) end
    local flag = redis.call('SISMEMBER', P .. 'flags', id)
    local started = redis.call('HGET', P .. 'started', id) or ''
    found[#found + 1] = {id, record, meta, where, score, flag, started, attempt}
  end
end
return {text(now), found}
