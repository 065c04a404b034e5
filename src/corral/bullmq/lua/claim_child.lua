--[[
  Asks whether a running job may get a child, and whether it has it already: its handler may be in another
  run, from the top, and says again what it said before.

  KEYS  1 the parent  2 its lock  3 its :dependencies  4 its :processed  5 its :failed  6 its :unsuccessful
  ARGV  1 token  2 key of the child

  Returns 0 the child is new, 1 the parent has it, -2 the lock is another's or gone.
]]
local call = redis.call
local child = ARGV[2]
if call("GET", KEYS[2]) ~= ARGV[1] then
  return -2
end
if call("SISMEMBER", KEYS[3], child) == 1 or call("HEXISTS", KEYS[4], child) == 1
    or call("HEXISTS", KEYS[5], child) == 1 or call("ZSCORE", KEYS[6], child)
    or call("HEXISTS", KEYS[1], "corral:child:" .. child) == 1 then
  return 1
end
return 0
