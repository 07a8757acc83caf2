-- Shows results on their way to another store. ARGV: 3 how many; or 4.. ids, of which those that are on their way.
-- What is shown by number goes to the end of the list, so that several copiers see different ones, and one that the
-- other store refuses stops nobody. Returns id, value ..
local found, back = {}, {}
local ids = {unpack(ARGV, 4)}
if #ARGV == 3 then ids = redis.call('LPOP', P .. 'out:ids', ARGV[3]) or {} end
if #ids == 0 then return found end
local values = read_many('HMGET', P .. 'out', ids)
local seen = {}
for index, id in ipairs(ids) do
  if values[index] and not seen[id] then
    seen[id] = true
    back[#back + 1] = id
    found[#found + 1] = id
    found[#found + 1] = values[index]
  end
end
if #ARGV == 3 and #back > 0 then call_many('RPUSH', P .. 'out:ids', back) end
return found
