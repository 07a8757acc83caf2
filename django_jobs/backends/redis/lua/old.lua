-- Looks at results of one status that ended longer ago, oldest first. ARGV: 3 age_us; 4 the letter of the status; 5 the
-- place where the last look ended, or "-inf"; 6 limit; 7 how many bytes of each. Returns the place where this one ended,
-- 1 where there may be more, then id, first bytes, .. Results of one instant are never parted.
local key, from, limit = P .. 'ended:' .. ARGV[4], ARGV[5] == '-inf' and '-inf' or '(' .. ARGV[5], tonumber(ARGV[6])
local page = redis.call('ZRANGEBYSCORE', key, from, text(now - ARGV[3]), 'WITHSCORES', 'LIMIT', 0, limit)
if #page == 0 then return {ARGV[5], 0} end
local groups = redis.call('ZRANGEBYSCORE', key, from, page[#page], 'WITHSCORES') -- and all others of the last instant
local found, count, place, more = {}, 0, nil, #page == 2 * limit
for at = 1, #groups, 2 do
  if count >= limit and groups[at + 1] ~= place then
    more = true
    break
  end
  place = groups[at + 1]
  for id in string.gmatch(groups[at], '[^ ]+') do
    local head = redis.call('GETRANGE', P .. 'result:' .. id, 0, ARGV[7] - 1)
    count = count + 1
    if head ~= '' then
      found[#found + 1] = id
      found[#found + 1] = head
    end
  end
end
table.insert(found, 1, text(tonumber(place)))
table.insert(found, 2, more and 1 or 0)
return found
