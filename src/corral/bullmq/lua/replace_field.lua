--[[
  Replaces a field of a hash if it still holds what its caller read.

  KEYS  1 hash
  ARGV  1 field  2 what it held  3 what it is to hold

  Returns 1 replaced, 0 it holds something else by now.
]]
if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
return 1
