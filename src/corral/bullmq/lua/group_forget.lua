--[[
  Takes out of a group's zset the ids that no longer wait there: a stock client's remove leaves them.

  KEYS  1 group:<g>:jobs  2 waiting-children
  ARGV  1 base  2 group  3… ids

  Returns how many were taken out.
]]
local call = redis.call
local base, now = ARGV[1], 0
--@include groups
local gone = 0
for i = 3, #ARGV do
  if tonumber(call("ZSCORE", KEYS[2], ARGV[i]) or 0) >= 0 then -- parked jobs have negative scores
    gone = gone + call("ZREM", KEYS[1], ARGV[i])
  end
end
open_groups().wake(ARGV[2])
return gone
