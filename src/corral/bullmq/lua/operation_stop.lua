--[[
  Stops an operation on many jobs: at once if nobody carries it, else at its carrier's next step.

  ARGV  1 msgpack [own, op_id, who wants it or ""]

  Returns the state it has then, or "" if there is no such operation
]]
local call = redis.call
local own, op_id, by = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix, carrier, lease_ms = "", "", 0 -- nobody claims it here
--@include operation_claim

local fields = call("HMGET", op, "state", "lease_until")
if not fields[1] then
  return ""
elseif fields[1] == "done" or fields[1] == "stopped" then
  return fields[1]
end
if by ~= "" then
  call("HSET", op, "stopped_by", by)
end
if (tonumber(fields[2]) or 0) <= now then
  finish("stopped")
  return "stopped"
end
call("HSET", op, "state", "stopping")
return "stopping"
