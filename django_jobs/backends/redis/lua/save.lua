-- Keeps results that were made elsewhere. ARGV from 3, four for each: id; finished_us or ""; ttl_ms; its blob.
-- A stored one of the same or a higher attempt stays.
for index = 3, #ARGV, 4 do
  local id, blob = ARGV[index], ARGV[index + 3]
  local stored = redis.call('GET', P .. 'result:' .. id)
  local known = stored and tonumber(string.match(stored, '^%a(%d+) ', 17)) or -1
  if tonumber(string.match(blob, '^%a(%d+) ')) > known then
    local stamp = ARGV[index + 1] ~= '' and string.format('%016.0f', ARGV[index + 1]) or text(now)
    redis.call('SET', P .. 'result:' .. id, stamp .. blob, 'PX', ARGV[index + 2])
    redis.call('ZADD', P .. 'ended:' .. string.upper(string.sub(blob, 1, 1)), stamp, id)
    publish_ends({id})
  end
end
return 1
