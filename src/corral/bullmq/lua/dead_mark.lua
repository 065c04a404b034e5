--[[
  Changes what is said of a group of failed jobs: its state or its notes.

  KEYS  1 groups  2 facts of the group  3 its notes
  ARGV  1 group  2 what to set, 3 what to remove (msgpack lists)  4 a note, or ""  5 notes kept

  A field `since` that is set to "now" becomes the server's time. Returns 0 if there is no such group.
]]
local call = redis.call
if not call("ZSCORE", KEYS[1], ARGV[1]) then
  return 0
end
local set, remove = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local time = call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
for i = 1, #set, 2 do
  call("HSET", KEYS[2], set[i], set[i + 1] == "now" and now or set[i + 1])
end
if #remove > 0 then
  call("HDEL", KEYS[2], unpack(remove))
end
if ARGV[4] ~= "" then
  call("RPUSH", KEYS[3], ARGV[4])
  call("LTRIM", KEYS[3], -tonumber(ARGV[5]), -1)
end
return 1
