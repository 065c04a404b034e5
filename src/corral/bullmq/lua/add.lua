--[[
  Adds a batch of plain, delayed and prioritized jobs in one call.

  Leaves the same keys and values as one call of BullMQ's addStandardJob, addDelayedJob or
  addPrioritizedJob for each job would. Jobs with a parent, a scheduler or a deduplication id do not
  come here: they take the official scripts.

  KEYS  1 wait  2 prioritized  3 delayed  4 active  5 meta  6 id  7 pc  8 marker  9 events
  ARGV  1 msgpack [base, now_ms, options, groups]
          base     key prefix of the queue, with its trailing colon
          now_ms   0: the server's clock
          options  list of JSON texts; groups point into it, since a batch mostly shares one
          groups   list of [id, name, option, delay_ms, priority, lifo, timestamp_ms, once_key, once_ms, data,
                    group, group_size]
                   data is a list: the jobs of a group differ in nothing else.
                   group "": none; group_size: as many jobs may wait in it (0: any number)
                   id "": the next numbers; timestamp 0: now; once_key "": no idempotency key.
                   A group with an id or a once_key has one job. A once_key whose job is there wins over
                   an id; a job that is there by its id is remembered under a new once_key only if it has
                   the same name and the same data.

  Returns a list with an entry a group: the number of its first job (the others follow on), or
  [id, data, name] when the job was there already (by id or once_key), with the data and the name it was
  added with, or [id]. ["", size]: the group is full, nothing was added.
]]
local call = redis.call
local wait, prioritized, delayed, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, id_counter, priority_counter, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local base, now, options, groups = unpack(cmsgpack.unpack(ARGV[1]))

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

--@include groups
local grouping -- groups: made for the first job that has one

-- Twelve bits below the millisecond keep the order of jobs that are due in the same one.
local function delayed_score(due)
  local lowest, highest = due * 4096, due * 4096 + 4095
  local last = call("ZREVRANGEBYSCORE", delayed, highest, lowest, "WITHSCORES", "LIMIT", 0, 1)[2]
  if not last then
    return lowest
  end
  return math.min(tonumber(last) + 1, highest)
end

local some_ready, some_delayed = false, false
local run, run_command = {}, nil -- consecutive pushes to the wait list become one call

local function flush_run()
  if run_command then
    call(run_command, wait, unpack(run))
    run, run_command = {}, nil
  end
end

-- groups: makes `grouping` where a job needs it, and tells whether so many more would be too many.
local function is_full(group, default, count)
  if not grouping then
    grouping = open_groups()
    call("HSET", meta, "corral:groups", "1")
  end
  local size = grouping.max_size(group, default)
  return size > 0 and grouping.size(group) + count > size
end

local answer = {}
for i, group in ipairs(groups) do
  local custom_id, name, option, delay, priority, lifo, timestamp, once_key, once_ms, data,
    group_name, group_size = unpack(group)
  local known
  if once_key ~= "" then
    known = call("GET", once_key)
    local there = known and call("HMGET", base .. known, "data", "name")
    if there and there[1] then
      answer[i] = { known, there[1], there[2] or "" }
    else
      known = nil -- its job was removed: the key is free again
    end
  end
  if not known then
    local last = call("INCRBY", id_counter, #data)
    local first = last - #data + 1
    local there = custom_id ~= "" and call("HMGET", base .. custom_id, "name", "data")
    if there and (there[1] or there[2]) then
      call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "duplicated", "jobId", custom_id)
      if once_key ~= "" and there[1] == name and there[2] == data[1] then
        call("SET", once_key, custom_id, "PX", once_ms)
      end
      answer[i] = { custom_id, there[2] or "", there[1] or "" }
    elseif group_name ~= "" and is_full(group_name, group_size, #data) then
      answer[i] = { "", tostring(grouping.size(group_name)) }
    else
      -- As text once a group: Redis would format the numbers anew for each job.
      local time_text = string.format("%.0f", timestamp == 0 and now or timestamp)
      local delay_text, priority_text = string.format("%.0f", delay), string.format("%.0f", priority)
      local opts = options[option]
      for k, job_data in ipairs(data) do
        local id = custom_id
        if id == "" then
          id = string.format("%.0f", first + k - 1)
        end
        call("HSET", base .. id, "name", name, "data", job_data, "opts", opts,
          "timestamp", time_text, "delay", delay_text, "priority", priority_text)
        if group_name ~= "" then
          call("HSET", base .. id, "corral:group", group_name)
        end
        call("XADD", events, "*", "event", "added", "jobId", id, "name", name)
        if delay > 0 then
          local due = (timestamp == 0 and now or timestamp) + delay
          call("ZADD", delayed, delayed_score(due), id)
          call("XADD", events, "*", "event", "delayed", "jobId", id, "delay", due)
          some_delayed = true
        else
          if group_name ~= "" then
            grouping.park(group_name, id, priority, lifo)
          elseif priority > 0 then
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
          call("XADD", events, "*", "event", "waiting", "jobId", id)
          some_ready = true
        end
        if once_key ~= "" then
          call("SET", once_key, id, "PX", once_ms)
        end
      end
      answer[i] = custom_id == "" and first or { custom_id }
    end
  end
end
flush_run()
call("XTRIM", events, "MAXLEN", "~", max_events)

if some_ready and not stopped then
  call("ZADD", marker, 0, "0")
end
if some_delayed then
  local first = call("ZRANGE", delayed, 0, 0, "WITHSCORES")[2]
  call("ZADD", marker, tonumber(first) / 4096, "1")
end
return answer
