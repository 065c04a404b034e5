--[[
  A failed parent whose children run again waits for them again, as if it had not failed; its own parent waits
  for it again. Without pending children it runs at once. Called in one MULTI with what retries the children,
  so that none of them ends in between. A parent that has not failed stays as it is.

  KEYS  1 failed  2 wait  3 prioritized  4 pc  5 meta  6 active  7 marker  8 events  9 waiting-children
        10 the job's :dependencies
  ARGV  1 base, the queue's prefix with its trailing colon  2 id  3 now_ms

  Returns 1 if it waits or runs again, 0 if it had not failed.
]]
local call = redis.call
local source, wait, prioritized, priority_counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, active, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local base, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local state = "failed"

--@include requeuing

local job = base .. id
local fields = call("HMGET", job, "name", "priority", "opts", "parentKey")
if not fields[1] or not call("ZSCORE", source, id) then
  return 0
end
if call("SCARD", KEYS[10]) == 0 then
  put_back(id, fields)
  wake_workers()
  return 1
end
call("ZREM", source, id)
as_new(job)
await_again(job, fields[4])
call("ZADD", KEYS[9], now, id)
call("XADD", events, "MAXLEN", "~", max_events or 10000, "*", "event", "waiting-children", "jobId", id, "prev", state)
return 1
