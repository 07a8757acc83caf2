-- Reads claims as they are, for whoever does not know what they hold. ARGV from 3: session, field; session, field; ..
-- Returns now, and for each: text ("" where there is none), records, metas, started, flags.
local function column(command, key, ids)
  if #ids == 0 then return {} end
  return read_many(command, P .. key, ids)
end

local found = {}
for index = 3, #ARGV, 2 do
  local whole = redis.call('HGET', P .. 'claims:' .. ARGV[index], ARGV[index + 1]) or ''
  local ids, flags = ids_of(whole), {}
  for number, id in ipairs(ids) do flags[number] = redis.call('SISMEMBER', P .. 'flags', id) end
  found[#found + 1] = {
    whole, column('HMGET', 'jobs', ids), column('HMGET', 'meta', ids), column('HMGET', 'started', ids), flags,
  }
end
return {text(now), found}
