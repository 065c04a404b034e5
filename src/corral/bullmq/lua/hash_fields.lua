--[[
  The same fields of several hashes: what a client would ask for in as many commands.

  KEYS  the hashes
  ARGV  the fields

  Returns for each hash its values, false for a field that it lacks
]]
local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = redis.call("HMGET", key, unpack(ARGV))
end
return answer
