--[[
  Frees places in groups that are held by jobs which no longer run: a stock client removed or settled them,
  or their worker died. One worker in each interval begins a round.

  KEYS  1 groups:all  2 groups:healed  3 active  4 meta  5 marker
  ARGV  1 base  2 cursor ("0" begins)  3 interval_ms

  Returns the next cursor; "0": the round is over.
]]
local call = redis.call
local base, now = ARGV[1], 0
--@include groups
if call("EXISTS", KEYS[1]) == 0 then
  return "0"
end
if ARGV[2] == "0" and not call("SET", KEYS[2], "1", "NX", "PX", ARGV[3]) then
  return "0"
end
call("HSET", KEYS[4], "corral:groups", "1") -- BullMQ's obliterate deletes meta
local running = {}
for _, id in ipairs(call("LRANGE", KEYS[3], 0, -1)) do
  running[id] = true
end
local groups = open_groups()
local page = call("SSCAN", KEYS[1], ARGV[2], "COUNT", 200)
local freed = false
for _, group in ipairs(page[2]) do
  freed = groups.heal(group, running) or freed
end
if freed then
  call("ZADD", KEYS[5], 0, "0")
end
return page[1]
