-- Orders to a living session. ARGV: 3 verb; 4 session; 5 the order's id, 6 the order, 7 how many are kept (give).
--   give   adds the order to the session's list, unless its id is there; returns its number, 0 where it does not live
--   read   returns the list
local verb, session = ARGV[3], ARGV[4]
if not redis.call('ZSCORE', P .. 'renewed', session) then return verb == 'give' and 0 or '' end
local list = redis.call('HGET', P .. 'orders', session) or ''
if verb == 'read' then return list end
local lines, last = {}, 0
for line in string.gmatch(list, '[^\n]+') do
  last = tonumber(string.match(line, '^%[(%d+),'))
  if string.find(line, '"id":"' .. ARGV[5] .. '"', 1, true) then return last end
  lines[#lines + 1] = line
end
lines[#lines + 1] = '[' .. text(last + 1) .. ',' .. ARGV[6] .. ']'
while #lines > tonumber(ARGV[7]) do table.remove(lines, 1) end
redis.call('HSET', P .. 'orders', session, table.concat(lines, '\n'))
return last + 1
