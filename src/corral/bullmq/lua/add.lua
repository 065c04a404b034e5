--[[
  Adds a batch of plain, delayed and prioritized jobs in one call.

  Leaves the same keys and values as one call of BullMQ's addStandardJob, addDelayedJob or
  addPrioritizedJob for each job would. Jobs with a parent, a scheduler or a deduplication id do not
  come here: they take the official scripts.

  KEYS  1 wait  2 prioritized  3 delayed  4 active  5 meta  6 id  7 pc  8 marker  9 events
  ARGV  1 msgpack [base, now_ms, options, jobs]
          base     key prefix of the queue, with its trailing colon
          now_ms   0: the server's clock
          options  list of JSON texts; jobs point into it, since a batch mostly shares one
          jobs     list of [id, name, data, option, delay_ms, priority, lifo, timestamp_ms,
                            idempotency_key, idempotency_ms]
                   id "": the next number; timestamp 0: now; idempotency_key "": none

  Returns a list with an entry a job: its id, or [id, data] when it was there already (custom id or
  idempotency key), with the data it was added with.
]]
local call = redis.call
local wait, prioritized, delayed, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, id_counter, priority_counter, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local base, now, options, jobs = unpack(cmsgpack.unpack(ARGV[1]))

if now == 0 then
  local time = call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local attributes = call("HMGET", meta, "opts.maxLenEvents", "paused", "concurrency")
local max_events = attributes[1]
if not max_events then
  max_events = 10000
  call("HSET", meta, "opts.maxLenEvents", max_events)
end
local stopped = attributes[2]
  or (attributes[3] and call("LLEN", active) >= tonumber(attributes[3]))

-- Twelve bits below the millisecond keep the order of jobs that are due in the same one.
local function delayed_score(due)
  local lowest, highest = due * 4096, due * 4096 + 4095
  local last = call("ZREVRANGEBYSCORE", delayed, highest, lowest, "WITHSCORES", "LIMIT", 0, 1)[2]
  if not last then
    return lowest
  end
  return math.min(tonumber(last) + 1, highest)
end

local answer = {}
local some_ready, some_delayed = false, false
local run, run_command = {}, nil -- consecutive pushes to the wait list become one call

local function flush_run()
  if run_command then
    call(run_command, wait, unpack(run))
    run, run_command = {}, nil
  end
end

for i = 1, #jobs do
  local id, name, data, option, delay, priority, lifo, timestamp, once_key, once_ms = unpack(jobs[i])
  local known
  if once_key ~= "" then
    known = call("GET", once_key)
    if known and call("EXISTS", base .. known) == 0 then
      known = nil -- its job was removed: the key is free again
    end
  end
  if known then
    answer[i] = { known, call("HGET", base .. known, "data") }
  else
    local number = call("INCR", id_counter)
    if id == "" then
      id = string.format("%.0f", number)
    end
    local job = base .. id
    local before = jobs[i][1] ~= "" and call("HGET", job, "data")
    if before or (jobs[i][1] ~= "" and call("EXISTS", job) == 1) then
      call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "duplicated", "jobId", id)
      answer[i] = { id, before or "" }
    else
      if timestamp == 0 then
        timestamp = now
      end
      call("HSET", job, "name", name, "data", data, "opts", options[option],
        "timestamp", timestamp, "delay", delay, "priority", priority)
      call("XADD", events, "*", "event", "added", "jobId", id, "name", name)
      if delay > 0 then
        local due = timestamp + delay
        call("ZADD", delayed, delayed_score(due), id)
        call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "delayed", "jobId", id, "delay", due)
        some_delayed = true
      else
        if priority > 0 then
          local turn = call("INCR", priority_counter)
          call("ZADD", prioritized, priority * 4294967296 + turn % 4294967296, id)
        else
          local command = lifo and "RPUSH" or "LPUSH"
          if command ~= run_command or #run >= 4000 then
            flush_run()
            run_command = command
          end
          run[#run + 1] = id
        end
        call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id)
        some_ready = true
      end
      if once_key ~= "" then
        call("SET", once_key, id, "PX", once_ms)
      end
      answer[i] = id
    end
  end
end
flush_run()

if some_ready and not stopped then
  call("ZADD", marker, 0, "0")
end
if some_delayed then
  local first = call("ZRANGE", delayed, 0, 0, "WITHSCORES")[2]
  call("ZADD", marker, tonumber(first) / 4096, "1")
end
return answer
