-- Notes when long jobs have started. ARGV from 3: id, attempt, started_us, id ..
-- An attempt that is over changes nothing. Returns those of the ids whose cancel is requested.
local texts = {}
for _, session in ipairs(redis.call('SMEMBERS', P .. 'holders')) do
  for _, whole in ipairs(redis.call('HVALS', P .. 'claims:' .. session)) do texts[#texts + 1] = '\n' .. whole end
end
local flagged = {}
for index = 3, #ARGV, 3 do
  local line = '\n' .. ARGV[index] .. '\t' .. ARGV[index + 1] .. '\t'
  for _, whole in ipairs(texts) do
    if string.find(whole, line, 1, true) then
      redis.call('HSETNX', P .. 'started', ARGV[index], ARGV[index + 2])
      if redis.call('SISMEMBER', P .. 'flags', ARGV[index]) == 1 then flagged[#flagged + 1] = ARGV[index] end
      break
    end
  end
end
return flagged
