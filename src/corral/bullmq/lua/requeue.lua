--[[
  Puts finished or delayed jobs back to waiting, each where its priority belongs.

  For one job it leaves what BullMQ's reprocessJob (with both counters reset) or promote leaves. BullMQ's script
  for many, moveJobsToWait, drops the priority. A finished job gets all its budgets back: attempts made and
  started, stalls, the time under an unknown name, a wait or a hold that ran out; and it is no longer cancelled.

  KEYS  1 set of the jobs' state  2 wait  3 prioritized  4 pc  5 meta  6 active  7 marker  8 events
  ARGV  1 msgpack [base, state, ids, from, count, name]
          base   key prefix of the queue, with its trailing colon
          state  completed, failed or delayed
          ids    these jobs; empty: `count` jobs of the set from rank `from` on
          name   only jobs of this name; "": any

  Returns [moved, kept, missing]
    kept     not of this name, or not in the set
    missing  no such job; its id leaves the set
]]
local call = redis.call
local source, wait, prioritized, priority_counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, active, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local base, state, ids, from, count, name = unpack(cmsgpack.unpack(ARGV[1]))

if #ids == 0 then
  ids = call("ZRANGE", source, from, from + count - 1)
end

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

local moved, kept, missing = 0, 0, 0
for _, id in ipairs(ids) do
  local job = base .. id
  local fields = call("HMGET", job, "name", "priority", "opts", "parentKey")
  if not fields[1] then
    call("ZREM", source, id)
    missing = missing + 1
  elseif (name ~= "" and fields[1] ~= name) or call("ZREM", source, id) == 0 then
    kept = kept + 1
  else
    local push = "LPUSH"
    if state == "delayed" then
      call("HSET", job, "delay", 0)
    else
      call("HDEL", job, "finishedOn", "processedOn", state == "failed" and "failedReason" or "returnvalue",
        "atm", "ats", "stc", "defa", "corral:unknown", "corral:wait", "corral:cancel", "corral:held")
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
    moved = moved + 1
  end
end

if moved > 0 and not attributes[2]
    and not (attributes[3] and call("LLEN", active) >= tonumber(attributes[3])) then
  call("ZADD", marker, 0, "0")
end
return { moved, kept, missing }
