--[[
  Writes a field of a job, if the caller still holds it.

  KEYS  1 the job  2 its lock  3 active
  ARGV  1 token, as in step.lua, without "!"  2 field  3 value  4 the job's id
        5 field for the server's time in milliseconds, may be left out

  Returns 1 if it was written, 0 if the job is another's or gone.
]]
local call = redis.call
local held = call("GET", KEYS[2])
if held ~= ARGV[1] then
  local run = call("HMGET", KEYS[1], "processedOn", "ats")
  local same = not held and ARGV[1] == "@" .. (run[1] or "") and run[2] == "1"
  if not (same and call("LPOS", KEYS[3], ARGV[4], "RANK", "-1")) then
    return 0
  end
end
call("HSET", KEYS[1], ARGV[2], ARGV[3])
if ARGV[5] then
  local now = call("TIME")
  call("HSET", KEYS[1], ARGV[5], string.format("%.0f", now[1] * 1000 + math.floor(now[2] / 1000)))
end
return 1
