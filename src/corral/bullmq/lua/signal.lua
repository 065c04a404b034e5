--[[
  Delivers a signal: keeps its payload, and wakes the jobs that wait for it.

  KEYS  1 the signal: payload, and for each waiting job "waiter:<job key>" with "<score in delayed> <base>"
  ARGV  1 payload (JSON)  2 ttl_ms, how long the payload is kept

  Returns how many jobs were woken; 0: the payload waits for one.
]]
local call = redis.call
local signal = KEYS[1]

-- Another wait's time-out may have been faster; its job finds the payload when it runs. The score tells this
-- wait from a later delay of the job.
local function wake(job, score, base)
  local id = string.sub(job, #base + 1)
  if tonumber(call("ZSCORE", base .. "delayed", id) or -1) ~= tonumber(score) then
    return 0
  end
  call("ZREM", base .. "delayed", id)
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
end

local woken = 0
for _, field in ipairs(call("HKEYS", signal)) do
  local job = string.match(field, "^waiter:(.+)$")
  if job then
    local score, base = string.match(call("HGET", signal, field), "^(%S+) (.+)$")
    woken = woken + wake(job, score, base)
    call("HDEL", signal, field)
  end
end

call("HSET", signal, "payload", ARGV[1])
call("PEXPIRE", signal, ARGV[2])
return woken
