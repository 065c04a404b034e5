--[[
  One step of an operation that retries: a batch goes back to waiting and leaves the list of what is left, at once.

  A job that is not failed any more, or failed anew since it was chosen, is left alone.

  KEYS  1 failed  2 wait  3 prioritized  4 pc  5 meta  6 active  7 marker  8 events
  ARGV  1 msgpack [base, own, prefix, op_id, carrier, lease_ms, most]

  Returns [verdict, moved, wait_ms]; verdict: see operation_claim.lua, or `ended` when nothing is left
]]
local call = redis.call
local source, wait, prioritized, priority_counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, active, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local state = "failed"
local base, own, prefix, op_id, carrier, lease_ms, most = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include dead_members
--@include operation_claim
--@include requeuing

local verdict = claim()
if verdict ~= "running" then
  return { verdict, 0, 0 }
end
local allowed = budget(most)
local entries = allowed > 0 and call("LRANGE", jobs, 0, allowed - 1) or {}
local moved = 0
for _, entry in ipairs(entries) do
  local score, id = string.match(entry, "^(%S+) (.+)$")
  if tonumber(call("ZSCORE", source, id) or -1) == tonumber(score) then
    local fields = call("HMGET", base .. id, "name", "priority", "opts", "parentKey")
    if not fields[1] then
      call("ZREM", source, id)
    elseif put_back(id, fields) then
      moved = moved + 1
    end
    take_out(id)
  end
end
call("LTRIM", jobs, #entries, -1)
call("HINCRBY", op, "moved", moved)
call("HINCRBY", op, "gone", #entries - moved)
if moved > 0 then
  wake_workers()
end
if call("LLEN", jobs) == 0 then
  finish("done")
  return { "ended", moved, 0 }
end
return { verdict, moved, spend(moved) }
