--[[
  Gives the lease of the alert evaluator back, so that another takes it at once.

  KEYS  1 lease
  ARGV  1 token

  Returns 1 if it was the caller's.
]]
if redis.call("GET", KEYS[1]) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
