--[[
  Pauses or resumes a group, or changes its limits; what may start now starts at once.

  KEYS  1 groups:paused  2 groups:limits  3 groups:limited  4 marker
  ARGV  1 base  2 group  3 change: pause, resume, limit, unlimit  4 for limit: JSON of the limits
]]
local call = redis.call
local base, group, change = ARGV[1], ARGV[2], ARGV[3]
local now = 0
--@include groups
if change == "pause" then
  call("SADD", KEYS[1], group)
  return
end
if change == "resume" then
  call("SREM", KEYS[1], group)
elseif change == "limit" then
  call("HSET", KEYS[2], group, ARGV[4])
else
  call("HDEL", KEYS[2], group)
end
call("ZREM", KEYS[3], group)
if open_groups().wake(group) then
  call("ZADD", KEYS[4], 0, "0")
end
