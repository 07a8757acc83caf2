-- Keeps what running jobs say about themselves. ARGV: 3 how long, in seconds; then id, attempt, text, id ..
-- An attempt that is over changes nothing. Returns the ids whose words were kept.
local texts = {}
for _, session in ipairs(redis.call('SMEMBERS', P .. 'holders')) do
  for _, whole in ipairs(redis.call('HVALS', P .. 'claims:' .. session)) do texts[#texts + 1] = '\n' .. whole end
end
local kept = {}
for index = 4, #ARGV, 3 do
  local line = '\n' .. ARGV[index] .. '\t' .. ARGV[index + 1] .. '\t'
  for _, whole in ipairs(texts) do
    if string.find(whole, line, 1, true) then
      redis.call('SET', P .. 'progress:' .. ARGV[index], ARGV[index + 2], 'EX', ARGV[3])
      kept[#kept + 1] = ARGV[index]
      break
    end
  end
end
return kept
