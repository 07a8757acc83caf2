-- Reads what jobs have said about themselves. ARGV from 3: ids. Returns one text for each, false where there is none.
local found = {}
for index = 3, #ARGV do found[#found + 1] = redis.call('GET', P .. 'progress:' .. ARGV[index]) end
return found
