--[[
  Takes the next batch of an operation whose jobs are done one by one, outside of a script. They stay in the list of
  what is left until bulk_note.lua: who is killed between the two leaves them to the next carrier.

  ARGV  1 msgpack [own, prefix, op_id, carrier, lease_ms, most]

  Returns [verdict, again, wait_ms, entries]
    verdict  see operation_claim.lua, or `ended` when nothing is left
    again    1: somebody took this batch before, and some of it may be done
    entries  "score id" each
]]
local call = redis.call
local own, prefix, op_id, carrier, lease_ms, most = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include operation_claim

local verdict = claim()
if verdict ~= "running" then
  return { verdict, 0, 0, {} }
elseif call("LLEN", jobs) == 0 then
  finish("done")
  return { "ended", 0, 0, {} }
end
local before = tonumber(call("HGET", op, "taken") or 0)
local allowed = before > 0 and before or budget(most)
if allowed == 0 then
  return { verdict, 0, spend(0), {} }
end
local entries = call("LRANGE", jobs, 0, allowed - 1)
call("HSET", op, "taken", #entries)
return { verdict, before > 0 and 1 or 0, 0, entries }
