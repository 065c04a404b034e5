--[[
  One step of an operation that brings discarded jobs back from the bin: each with all its keys as they were, at its
  place in the failed set and in its group.

  A job whose time in the bin is over, or whose id is taken by a new job, stays where it is.

  KEYS  1 failed
  ARGV  1 msgpack [base, own, prefix, op_id, carrier, lease_ms, most, bin_ms, undone]
          undone  the operation whose jobs come back

  Returns [verdict, moved, wait_ms]
]]
local call = redis.call
local failed = KEYS[1]
local base, own, prefix, op_id, carrier, lease_ms, most, bin_ms, undone = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include dead_members
--@include operation_claim
--@include dead_bin

local verdict = claim()
if verdict ~= "running" then
  return { verdict, 0, 0 }
end
prune_bin()
local thrown = own .. "bin:" .. undone
local allowed = budget(most)
local ids = allowed > 0 and call("ZRANGE", thrown, 0, allowed - 1) or {}
local moved = 0
for _, id in ipairs(ids) do
  local score, group, operation = facts_of(id)
  if operation == undone and call("EXISTS", binned_key(id)) == 1 and call("EXISTS", base .. id) == 0 then
    for _, part in ipairs(PARTS) do
      if call("EXISTS", binned_key(id) .. part) == 1 then
        call("RENAME", binned_key(id) .. part, base .. id .. part)
        call("PERSIST", base .. id .. part)
      end
    end
    call("ZADD", failed, score, id)
    if group ~= "" and call("ZSCORE", own .. "groups", group) then
      put_in(group, id, score)
    end
    drop_facts(id)
    moved = moved + 1
  end
  call("ZREM", thrown, id)
end
call("HINCRBY", op, "moved", moved)
call("HINCRBY", op, "gone", #ids - moved)
if call("ZCARD", thrown) == 0 then
  finish("done")
  return { "ended", moved, 0 }
end
return { verdict, moved, spend(moved) }
