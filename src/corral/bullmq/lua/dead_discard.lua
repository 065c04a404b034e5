--[[
  One step of an operation that discards: a batch leaves the failed set and the list of what is left, at once.

  A job goes into the bin, from which dead_undo.lua brings it back; one that the bin has no room for is gone for
  good. A failed child whose parent is still there takes BullMQ's own way (dead_throw_child.lua), because its
  parent may wait for it: it moves to `held`.

  KEYS  1 failed  2 events  3 meta
  ARGV  1 msgpack [base, own, prefix, op_id, carrier, lease_ms, most, bin_ms, most_jobs, most_bytes]

  Returns [verdict, moved, wait_ms, held]
    held  "score id" of jobs that wait for dead_throw_child.lua
]]
local call = redis.call
local failed, events, meta = KEYS[1], KEYS[2], KEYS[3]
local base, own, prefix, op_id, carrier, lease_ms, most, bin_ms, most_jobs, most_bytes =
  unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include dead_members
--@include operation_claim
--@include dead_bin
--@include dead_throw

local verdict = claim()
if verdict ~= "running" then
  return { verdict, 0, 0, {} }
end
prune_bin()
local max_events = call("HGET", meta, "opts.maxLenEvents") or 10000
local allowed = budget(most)
local entries = allowed > 0 and call("LRANGE", jobs, 0, allowed - 1) or {}
local moved, later = 0, 0
for _, entry in ipairs(entries) do
  local score, id = string.match(entry, "^(%S+) (.+)$")
  local job = base .. id
  if tonumber(call("ZSCORE", failed, id) or -1) == tonumber(score) and call("EXISTS", job) == 1 then
    local fields = call("HMGET", job, "parentKey", "deid")
    if fields[1] and call("EXISTS", fields[1]) == 1 then
      call("RPUSH", held, entry)
      later = later + 1
    else
      local bytes = size_of(id)
      if fits(bytes) then
        into_bin(id)
        note_binned(id, score, take_out(id), bytes)
      else
        call("DEL", job, job .. ":logs", job .. ":dependencies", job .. ":processed", job .. ":failed",
          job .. ":unsuccessful")
        take_out(id)
      end
      if fields[2] and call("GET", base .. "de:" .. fields[2]) == id then
        call("DEL", base .. "de:" .. fields[2], base .. "dn:" .. fields[2])
      end
      call("ZREM", failed, id)
      call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "removed", "jobId", id, "prev", "failed")
      moved = moved + 1
    end
  end
end
call("LTRIM", jobs, #entries, -1)
call("HINCRBY", op, "moved", moved)
call("HINCRBY", op, "gone", #entries - moved - later)
local waiting = call("LRANGE", held, 0, most - 1)
if call("LLEN", jobs) == 0 and #waiting == 0 then
  finish("done")
  return { "ended", moved, 0, {} }
end
return { verdict, moved, spend(moved + later), waiting }
