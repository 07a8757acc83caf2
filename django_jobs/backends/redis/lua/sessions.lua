-- Returns every session: id, what is stored, renewed_us, 1 where it lives.
local all, found = redis.call('HGETALL', P .. 'sessions'), {}
for index = 1, #all, 2 do
  local renewed = redis.call('ZSCORE', P .. 'renewed', all[index])
  found[#found + 1] = {all[index], all[index + 1], text(tonumber(renewed or string.match(all[index + 1], '^%d+ %d+ (%d+)') or '0')), renewed and 1 or 0}
end
return found
