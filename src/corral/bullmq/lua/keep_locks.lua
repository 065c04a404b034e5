--[[
  Keeps the locks of running jobs for another lock_ms, and writes those that were not needed yet.

  A job that was fetched without a lock is known by its stamp (see step.lua). Its lock is written here, once
  it has run for a moment. If the lock ran out since, in a long outage of Redis or a frozen process, and the
  job still stands where this worker left it, it is written again.

  KEYS  1 active  2 stalled
  ARGV  1 base  2 lock_ms  3 msgpack list of [id, token], the token as in step.lua, without "!"

  Returns the ids that this worker no longer holds.
]]
local call = redis.call
local active, stalled = KEYS[1], KEYS[2]
local base, lock_ms = ARGV[1], ARGV[2]

local lost, kept = {}, {}
for _, entry in ipairs(cmsgpack.unpack(ARGV[3])) do
  local id, token = entry[1], entry[2]
  local job = base .. id
  local lock = job .. ":lock"
  local held = call("GET", lock)
  local ours = held == token
  if not held and string.byte(token) == 64 then -- "@"
    local fields = call("HMGET", job, "processedOn", "ats", "finishedOn", "atm")
    ours = fields[1] == string.sub(token, 2) and fields[2] == "1" and not fields[3] and not fields[4]
      -- One that was put back keeps its stamp until somebody takes it.
      and call("LPOS", active, id, "RANK", "-1") and true or false
  end
  if ours then
    call("SET", lock, token, "PX", lock_ms)
    kept[#kept + 1] = id
  else
    lost[#lost + 1] = id
  end
end
for from = 1, #kept, 1000 do
  call("SREM", stalled, unpack(kept, from, math.min(from + 999, #kept)))
end
return lost
