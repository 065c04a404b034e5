-- Part of requeue.lua and of the dead letter desk: one finished or delayed job goes back to waiting.
-- Needs call, base, state, source, wait, prioritized, priority_counter, meta, active, marker, events.
-- Defines put_back(id, fields), which returns false if it is not in the set, and wake_workers(); and of what a
-- finished job is put back by, as_new(job) and await_again(job, parent).

local attributes = call("HMGET", meta, "opts.maxLenEvents", "paused", "concurrency")
local max_events = attributes[1]

-- A child that runs again is awaited again by a parent that has not gone on without it.
local function await_again(job, parent)
  if not parent or call("EXISTS", parent) == 0 then
    return
  end
  local awaited
  if state == "completed" then
    awaited = call("HDEL", parent .. ":processed", job) == 1
  else
    awaited = call("ZREM", parent .. ":unsuccessful", job) == 1 or call("HDEL", parent .. ":failed", job) == 1
  end
  if awaited then
    call("SADD", parent .. ":dependencies", job)
  end
end

-- All budgets of a finished job, and nothing of how it ended.
local function as_new(job)
  call("HDEL", job, "finishedOn", "processedOn", state == "failed" and "failedReason" or "returnvalue",
    "atm", "ats", "stc", "corral:suspect", "defa", "corral:unknown", "corral:wait", "corral:cancel", "corral:held")
end

-- fields: name, priority, opts and parentKey of the job's hash
local function put_back(id, fields)
  if call("ZREM", source, id) == 0 then
    return false
  end
  local job = base .. id
  local push = "LPUSH"
  if state == "delayed" then
    call("HSET", job, "delay", 0)
  else
    as_new(job)
    await_again(job, fields[4])
    if fields[3] and string.find(fields[3], '"lifo":true', 1, true) then
      push = "RPUSH"
    end
  end
  local priority = tonumber(fields[2]) or 0
  if priority == 0 then
    call(push, wait, id)
  else
    local turn = call("INCR", priority_counter)
    call("ZADD", prioritized, priority * 4294967296 + turn % 4294967296, id)
  end
  if not max_events then
    max_events = 10000
    call("HSET", meta, "opts.maxLenEvents", max_events)
  end
  call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id, "prev", state)
  return true
end

local function wake_workers()
  if not attributes[2]
      and not (attributes[3] and call("LLEN", active) >= tonumber(attributes[3])) then
    call("ZADD", marker, 0, "0")
  end
end
