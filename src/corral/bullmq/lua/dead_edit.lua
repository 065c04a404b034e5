--[[
  Gives a failed job other data, keeps the first as it was, and puts the job back to waiting if asked.

  KEYS  1 failed  2 wait  3 prioritized  4 pc  5 meta  6 active  7 marker  8 events
  ARGV  1 msgpack [base, own, id, data, keep_ms, retry]
          keep_ms  the original data is kept for so long; a later edit does not replace it

  Returns 1; 0 if the job is not failed; -1 if there is none
]]
local call = redis.call
local source, wait, prioritized, priority_counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, active, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local state = "failed"
local base, own, id, data, keep_ms, retry = unpack(cmsgpack.unpack(ARGV[1]))
--@include dead_members
--@include requeuing

local job = base .. id
if call("TYPE", job).ok ~= "hash" then
  return -1
end
if not call("ZSCORE", source, id) then
  return 0
end
call("SET", own .. "original:" .. id, call("HGET", job, "data") or "null", "NX", "PX", keep_ms)
call("HSET", job, "data", data)
if retry then
  put_back(id, call("HMGET", job, "name", "priority", "opts", "parentKey"))
  take_out(id)
  wake_workers()
end
return 1
