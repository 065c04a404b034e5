--[[
  Delivers a signal: keeps its payload, and wakes the job that waits for it, if one does.

  KEYS  1 the signal
  ARGV  1 payload (JSON)  2 ttl_ms, how long the payload is kept

  Returns 1 if a job was woken, 0 if the payload waits for one.
]]
local call = redis.call
local signal = KEYS[1]

call("HSET", signal, "payload", ARGV[1])
call("PEXPIRE", signal, ARGV[2])

local waiter = call("HMGET", signal, "queue", "job", "score")
local base, id = waiter[1], waiter[2]
if not id then
  return 0
end
call("HDEL", signal, "queue", "job", "score")
if tonumber(call("ZSCORE", base .. "delayed", id) or -1) ~= tonumber(waiter[3]) then
  return 0 -- its time-out was faster; it finds the payload when it runs
end
call("ZREM", base .. "delayed", id)

local job = base .. id
local state = call("HMGET", base .. "meta", "paused", "concurrency")
local stopped = state[1] or (state[2] and call("LLEN", base .. "active") >= tonumber(state[2]))
local priority = tonumber(call("HGET", job, "priority")) or 0
-- In front of its equals: it waited in line once already.
if priority > 0 then
  call("ZADD", base .. "prioritized", priority * 4294967296, id)
else
  call("RPUSH", base .. "wait", id)
end
call("HSET", job, "delay", 0)
if not stopped then
  call("ZADD", base .. "marker", 0, "0")
end
call("XADD", base .. "events", "*", "event", "waiting", "jobId", id, "prev", "delayed")
return 1
