--[[
  Notes what became of a batch that bulk_take.lua gave, and takes it off the list of what is left.

  ARGV  1 msgpack [own, prefix, op_id, carrier, lease_ms, moved, gone]

  Returns [verdict, wait_ms]; verdict: `ended` when nothing is left or it was stopped meanwhile, `theirs` if another
  carrier has it now, else `running`
]]
local call = redis.call
local own, prefix, op_id, carrier, lease_ms, moved, gone = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include operation_claim

local fields = call("HMGET", op, "carrier", "taken", "state")
if fields[1] ~= carrier then
  return { "theirs", 0 }
end
call("LTRIM", jobs, tonumber(fields[2] or 0), -1)
call("HSET", op, "taken", 0)
call("HINCRBY", op, "moved", moved)
call("HINCRBY", op, "gone", gone)
if call("LLEN", jobs) == 0 then
  finish("done")
  return { "ended", 0 }
elseif fields[3] == "stopping" then
  finish("stopped")
  return { "ended", 0 }
end
budget(0)
return { "running", spend(moved + gone) }
