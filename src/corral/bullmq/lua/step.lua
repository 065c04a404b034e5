--[[
  One turn of a worker: settles the jobs it finished and fetches as many as it has free slots.

  Leaves the same keys and values as BullMQ's moveToFinished, retryJob, moveToDelayed,
  moveJobFromActiveToWait and moveToActive would, one call a job. Jobs with a parent, children or a
  deduplication id do not finish here: they are reported back and take the official scripts.

  Locks. A job that never ran before is told by its stamp: the moment of its fetch (`processedOn`) with one
  run (`ats`). Only if it runs for longer does keep_locks.lua write its lock, so a short job costs none.
  Nobody takes it meanwhile: BullMQ's sweep looks twice, one interval apart, before it calls a job stalled.
  Every other job is locked when it is fetched, as BullMQ does.

  KEYS  1 wait  2 active  3 prioritized  4 events  5 stalled  6 limiter  7 delayed  8 meta  9 pc
        10 marker  11 completed  12 failed
  ARGV  1 msgpack [base, now_ms, token, lock_ms, worker, slots, limit_max, limit_ms, settled, record,
                   group_limits]
          base       key prefix of the queue, with its trailing colon
          now_ms     0: the server's clock, so that a worker's wrong clock shifts nothing
          token      lock token of the jobs fetched by this call
          lock_ms    as text
          record     key that keeps what this call fetched, for recover.lua; "": lock every job at once
          worker     name, kept as `pb`
          slots      fetch at most this many; 0: only settle
          limit_max  the worker's rate limit (0: none) in each window of limit_ms
          settled    list of [id, token, kind, ...]; token is that of the fetch, "@" with the stamp for a job
                     that has none, or "!" with the stamp if keep_locks.lua wrote its lock
             kind 1 completed  [value, keep_count, keep_age_s]
             kind 2 failed     [reason, stacktrace, keep_count, keep_age_s, attempts, killed, fields]
                               killed: it killed its workers; forget how often (`stc`), so that a retry by
                               hand has the whole stall budget again. The last two may be absent
             kind 3 retry now  [reason, stacktrace, lifo]
             kind 4 delay      [delay_ms, spend, fields, signal_key, signal_ms]
             kind 5 put back   []
          group_limits  [concurrency, jobs, per_ms, max_size] of a group without its own; 0: none
          keep_count -1: all; keep_age -1: for ever; fields: flat list for HSET

  Returns [problems, fetched, rate_ttl_ms, next_due_ms, now_ms, state]
    problems  flat list id, code: -1 job gone, -2 lock gone, -3 not active, -6 lock of another, 1 not plain,
              -100 an error while it was written: back in active with no lock, for the sweep to find
    fetched   list of [id, values of FIELDS], or only the first four of them for a job that never ran
    state     0 open, 1 paused or at global concurrency
]]
local call = redis.call
local wait, active, prioritized, events, stalled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local limiter, delayed, meta, priority_counter = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local marker = KEYS[10]
local TARGET = { KEYS[11], KEYS[12] }

local base, now, token, lock_ms, worker, slots, limit_max, limit_ms, settled, record,
  group_limits = unpack(cmsgpack.unpack(ARGV[1]))

if now == 0 then
  local time = call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local now_text = string.format("%.0f", now)

local attributes = call("HMGET", meta, "opts.maxLenEvents", "paused", "concurrency", "max", "duration",
  "corral:groups")
local max_events = attributes[1]
if not max_events and #settled > 0 then
  max_events = 10000
  call("HSET", meta, "opts.maxLenEvents", max_events)
end
local paused, concurrency = attributes[2], tonumber(attributes[3])

--@include groups
local grouping = attributes[6] and open_groups(group_limits) -- groups: nil in a queue without them

local function is_stopped()
  return paused or (concurrency and call("LLEN", active) >= concurrency) or false
end

local function mark_ready(stopped)
  if not stopped then
    call("ZADD", marker, "0", "0")
  end
end

local function next_due()
  local first = call("ZRANGE", delayed, 0, 0, "WITHSCORES")[2]
  local due = first and tonumber(first) / 4096
  return grouping and grouping.earlier(due) or due -- groups
end

local function push_by_priority(priority, id)
  local turn = call("INCR", priority_counter)
  call("ZADD", prioritized, priority * 4294967296 + turn % 4294967296, id)
end

local function delayed_score(due)
  local lowest, highest = due * 4096, due * 4096 + 4095
  local last = call("ZREVRANGEBYSCORE", delayed, highest, lowest, "WITHSCORES", "LIMIT", 0, 1)[2]
  if not last then
    return lowest
  end
  return math.min(tonumber(last) + 1, highest)
end

local function promote_due()
  local due = call("ZRANGEBYSCORE", delayed, 0, (now + 1) * 4096 - 1, "LIMIT", 0, 1000)
  if #due == 0 then
    return
  end
  local stopped = is_stopped()
  call("ZREM", delayed, unpack(due))
  for _, id in ipairs(due) do
    local job = base .. id
    local priority = tonumber(call("HGET", job, "priority")) or 0
    if grouping and grouping.parks(id, priority) then -- groups: it waits there
    elseif priority == 0 then
      call("LPUSH", wait, id)
    else
      push_by_priority(priority, id)
    end
    call("XADD", events, "*", "event", "waiting", "jobId", id, "prev", "delayed")
    call("HSET", job, "delay", 0)
  end
  mark_ready(stopped)
end

-- Settle ------------------------------------------------------------------------------------------

local problems = {}
local function problem(id, code)
  problems[#problems + 1] = id
  problems[#problems + 1] = code
end

local function delete_jobs(ids, from, to)
  local keys = {}
  for i = from, to do
    local job = base .. ids[i]
    keys[#keys + 1] = job
    keys[#keys + 1] = job .. ":logs"
    keys[#keys + 1] = job .. ":dependencies"
    keys[#keys + 1] = job .. ":processed"
    keys[#keys + 1] = job .. ":failed"
    keys[#keys + 1] = job .. ":unsuccessful"
  end
  call("DEL", unpack(keys))
end

local CHUNK = 1000 -- unpack() of a Lua call holds about 8,000 values; a job has six keys

local function remove_finished(target, ids)
  local removable = {}
  for _, id in ipairs(ids) do
    -- A failed child may still hold its parent back; only the official scripts let go of it properly.
    if target == TARGET[1] or not call("HGET", base .. id, "parentKey") then
      removable[#removable + 1] = id
    end
  end
  for from = 1, #removable, CHUNK do
    local to = math.min(from + CHUNK - 1, #removable)
    delete_jobs(removable, from, to)
    call("ZREM", target, unpack(removable, from, to))
  end
end

-- Consecutive jobs that finish with one outcome and one retention are written and trimmed together.
local finished, finished_kind, finished_count, finished_age = {}, nil, nil, nil
local some_finished = false

local function flush_finished()
  if not finished_kind or #finished == 0 then
    finished_kind = nil
    return
  end
  local target = TARGET[finished_kind]
  if finished_count == 0 then
    for from = 1, #finished, CHUNK do
      delete_jobs(finished, from, math.min(from + CHUNK - 1, #finished))
    end
  else
    local pairs_of = {}
    for i, id in ipairs(finished) do
      pairs_of[2 * i - 1] = now_text
      pairs_of[2 * i] = id
    end
    for from = 1, #pairs_of, 2 * CHUNK do
      call("ZADD", target, unpack(pairs_of, from, math.min(from + 2 * CHUNK - 1, #pairs_of)))
    end
    if finished_age >= 0 then
      remove_finished(target,
        call("ZREVRANGEBYSCORE", target, now - finished_age * 1000, "-inf", "LIMIT", 0, 1000))
    end
    if finished_count > 0 then
      remove_finished(target, call("ZREVRANGE", target, finished_count, -1))
    end
  end
  finished, finished_kind = {}, nil
end

local function add_finished(kind, id, count, age)
  if kind ~= finished_kind or count ~= finished_count or age ~= finished_age then
    flush_finished()
    finished_kind, finished_count, finished_age = kind, count, age
  end
  finished[#finished + 1] = id
  some_finished = true
end

-- A job hash has six fields when it is added and three more once it has started. One of exactly nine has
-- no parent, no deduplication id and no past: the common case, told by one cheap look.
local ADDED_FIELDS, STARTED_FIELDS = 6, 9
local PLAIN = { false, false, false, false } -- name, parentKey, deid, atm; the priority does not matter here

-- The fields that settling needs, or nil after noting the problem. A job that is not plain keeps its lock
-- for the official script that will settle it.
local function look(id, kind, has_children, killed)
  local job = base .. id
  -- pcall: what is no hash any more must not stop the batch.
  if kind <= 2 and not has_children and redis.pcall("HLEN", job) == STARTED_FIELDS then
    return PLAIN
  end
  local fields = redis.pcall("HMGET", job, "name", "parentKey", "deid", "atm", "priority", "corral:cancel")
  if not fields[1] then
    problem(id, -1)
    return nil
  end
  if kind <= 2 and (fields[2] or fields[3])
      or kind == 1 and call("EXISTS", job .. ":dependencies", job .. ":unsuccessful") > 0 then
    if killed then
      call("HDEL", job, "stc") -- the official script that comes next does not know of it
    end
    problem(id, 1)
    return nil
  end
  return fields
end

local owned = {}
local owned_ids = {}
local some_delayed, promoted = false, false
local some_wait = false -- groups: for a place that was freed here

local function own(i, fields)
  owned[i] = fields
  owned_ids[#owned_ids + 1] = settled[i][1]
end

local function refuse(id, held)
  problem(id, call("EXISTS", base .. id) == 0 and -1 or (held and -6 or -2))
end

-- One look at all locks and at all children keys of the batch, instead of two a job.
local function look_at_locked(places)
  local lock_keys, children_keys, unlocked = {}, {}, {}
  for k, i in ipairs(places) do
    local job = base .. settled[i][1]
    lock_keys[k] = job .. ":lock"
    children_keys[k] = job .. ":dependencies"
  end
  local tokens = call("MGET", unpack(lock_keys))
  local has_children = call("EXISTS", unpack(children_keys)) > 0
  for k, i in ipairs(places) do
    local id, held = settled[i][1], tokens[k]
    if held ~= settled[i][2] then
      refuse(id, held)
    else
      local kind = settled[i][3]
      local fields = look(id, kind, has_children, kind == 2 and settled[i][9])
      if grouping and fields ~= PLAIN and grouping.leave(id) then -- groups
        some_wait = true
      end
      if fields then
        own(i, fields)
        unlocked[#unlocked + 1] = lock_keys[k]
      end
    end
  end
  if #unlocked > 0 then
    call("DEL", unpack(unlocked))
  end
end

-- A stamped job had no past when it was fetched. All that it can have got since are children; its handler
-- asks for the lock before it adds one, so this looks for those that somebody else added.
local function look_at_stamped(places)
  local children_keys = {}
  for k, i in ipairs(places) do
    children_keys[k] = base .. settled[i][1] .. ":dependencies"
  end
  local some_children = call("EXISTS", unpack(children_keys)) > 0
  for k, i in ipairs(places) do
    local id, stamp, kind = settled[i][1], settled[i][2], settled[i][3]
    local job = base .. id
    local fields = redis.pcall("HMGET", job, "processedOn", "ats") -- an error has no first entry
    if fields[1] ~= string.sub(stamp, 2) or fields[2] ~= "1" then
      refuse(id, fields[1])
    elseif some_children and kind == 1 and call("EXISTS", children_keys[k]) > 0 then
      call("SET", job .. ":lock", "@" .. string.sub(stamp, 2), "PX", lock_ms) -- the official script asks for it
      problem(id, 1)
    elseif string.byte(stamp) == 33 then -- "!": it ran for long, or has a family by now
      local found = look(id, kind, true)
      if found then
        call("DEL", job .. ":lock")
        own(i, found)
      end
    else
      local asked = kind > 2 and call("HMGET", job, "priority", "corral:cancel")
      own(i, asked and { false, false, false, false, asked[1], asked[2] } or PLAIN)
    end
  end
end

-- Collects places and looks at CHUNK of them at once.
local function in_chunks(look_at)
  local places = {}
  return function(i)
    if i then
      places[#places + 1] = i
    end
    if #places == CHUNK or (not i and #places > 0) then
      look_at(places)
      places = {}
    end
  end
end

if #settled > 0 then
  local locked, stamped = in_chunks(look_at_locked), in_chunks(look_at_stamped)
  for i = 1, #settled do
    local mark = string.byte(settled[i][2])
    if mark == 64 or mark == 33 then -- "@" or "!"
      stamped(i)
    else
      locked(i)
    end
  end
  locked(nil)
  stamped(nil)
  for from = 1, #owned_ids, CHUNK do
    call("SREM", stalled, unpack(owned_ids, from, math.min(from + CHUNK - 1, #owned_ids)))
  end
  call("XTRIM", events, "MAXLEN", "~", max_events)
end

-- Jobs mostly end in the order they started in, so the batch is mostly the tail of the list. Under a
-- concurrency limit each job leaves by itself, since what is decided between them counts the list.
local all_left = false
if #owned_ids > 1 and #owned_ids <= CHUNK and not concurrency then
  local leaving = {}
  for _, id in ipairs(owned_ids) do
    leaving[id] = true
  end
  local tail = call("LRANGE", active, string.format("%d", -#owned_ids), "-1")
  all_left = #tail == #owned_ids
  for _, id in ipairs(tail) do
    all_left = all_left and leaving[id] or false
    leaving[id] = nil -- an id is in the list once
  end
  if all_left then
    call("LTRIM", active, "0", string.format("%d", -#owned_ids - 1))
  end
end

local at = 0
local function settle_rest()
  while at < #settled do
    at = at + 1
    local fields = owned[at]
    if fields then
      local entry = settled[at]
      local id, kind = entry[1], entry[3]
      local job = base .. id
      if kind == 3 and not promoted then
        promoted = true
        promote_due()
      end
      if not all_left and call("LREM", active, "-1", id) < 1 then
        problem(id, -3)
      elseif kind == 1 then
        if entry[5] ~= 0 then
          call("HSET", job, "atm", fields[4] and (tonumber(fields[4]) or 0) + 1 or "1", "returnvalue", entry[4],
            "finishedOn", now_text)
        end
        add_finished(1, id, entry[5], entry[6])
        call("XADD", events, "*", "event", "completed", "jobId", id, "returnvalue", entry[4], "prev", "active")
      elseif kind == 2 then
        local attempts_made = (tonumber(fields[4]) or 0) + 1
        if entry[6] ~= 0 then
          call("HSET", job, "atm", attempts_made, "failedReason", entry[4], "stacktrace", entry[5],
            "finishedOn", now_text)
          if entry[9] then
            call("HDEL", job, "defa", "stc")
          else
            call("HDEL", job, "defa")
          end
          if entry[10] and #entry[10] > 0 then
            call("HSET", job, unpack(entry[10]))
          end
        end
        add_finished(2, id, entry[6], entry[7])
        call("XADD", events, "*", "event", "failed", "jobId", id, "failedReason", entry[4], "prev", "active")
        if attempts_made >= entry[8] then
          call("XADD", events, "*", "event", "retries-exhausted", "jobId", id, "attemptsMade", attempts_made)
        end
      elseif kind == 3 then
        call("HSET", job, "atm", (tonumber(fields[4]) or 0) + 1, "failedReason", entry[4], "stacktrace", entry[5])
        local priority = tonumber(fields[5]) or 0
        local stopped = is_stopped()
        if grouping and grouping.parks(id, priority, entry[6]) then -- groups
        elseif priority == 0 then
          call(entry[6] and "RPUSH" or "LPUSH", wait, id)
        else
          push_by_priority(priority, id)
        end
        mark_ready(stopped)
        call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id, "prev", "active")
      else
        local delay = kind == 4 and entry[4]
        if kind == 4 then
          if #entry[6] > 0 then
            call("HSET", job, unpack(entry[6]))
          end
          if entry[7] ~= "" and call("HEXISTS", entry[7], "payload") == 1 then
            delay = nil -- the signal was faster than the wait for it: run again at once
          end
          if fields[6] and string.sub(fields[6], 1, 1) == "?" then
            delay = nil -- somebody cancels it: whoever has it next ends it, and that must not take long
          end
        end
        if delay then
          if entry[5] then
            call("HSET", job, "atm", (tonumber(fields[4]) or 0) + 1)
          end
          local due = now + delay
          call("HSET", job, "delay", delay)
          local score = delayed_score(due)
          call("ZADD", delayed, score, id)
          call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "delayed", "jobId", id, "delay", due)
          some_delayed = true
          if entry[7] ~= "" then -- the score tells this wait from a later delay of the job
            call("HSET", entry[7], "queue", base, "job", id, "score", score)
            call("PEXPIRE", entry[7], entry[8])
          end
        else
          local priority = tonumber(fields[5]) or 0
          local stopped = is_stopped()
          if grouping and grouping.parks(id, priority, true) then -- groups
          elseif priority > 0 then
            call("ZADD", prioritized, priority * 4294967296, id)
          else
            call("RPUSH", wait, id)
          end
          mark_ready(stopped) -- BullMQ leaves it out for a prioritized job, which then waits for a poll
          call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id, "prev", "active")
        end
      end
    end
  end
end

-- An error in one entry must not leave the others between two states; so one guard for all of them.
while not pcall(settle_rest) do
  local id = settled[at][1]
  call("LREM", active, 0, id)
  call("LPUSH", active, id)
  problem(id, -100)
end
flush_finished()
if some_delayed then
  call("ZADD", marker, next_due(), "1")
end

-- Fetch -------------------------------------------------------------------------------------------

-- A job that never ran has only the first ones; the rest costs more than it is worth there.
local FIRST_FIELDS = { "name", "data", "opts", "timestamp" }
local FIELDS = { "name", "data", "opts", "timestamp", "atm", "ats", "stc", "defa", "stacktrace",
  "corral:checkpoint", "corral:wait", "corral:unknown", "rjk", "corral:cancel" }

local fetched = {}
local rate_ttl = 0

-- Meta's limit wins over the worker's, the worker's window over meta's: BullMQ's rule.
local max_jobs = tonumber(attributes[4]) or (limit_max > 0 and limit_max) or nil
local window = limit_ms > 0 and limit_ms or tonumber(attributes[5])

local function start(id)
  local job = base .. id
  local values
  local stamped = false
  local length = redis.pcall("HLEN", job)
  if type(length) == "table" then
    return -- no hash, so no job; an error here would lose all that were popped with it
  end
  if length == ADDED_FIELDS then
    values = call("HMGET", job, unpack(FIRST_FIELDS))
    stamped = record ~= ""
  else
    values = call("HMGET", job, unpack(FIELDS))
    if not values[1] then
      return -- removed while it waited; nothing is written for it
    end
    if grouping and not grouping.admits(id) then -- groups: parked there until it has room
      return
    end
  end
  if max_jobs and not values[8] then
    if call("INCR", limiter) == 1 and window then
      call("PEXPIRE", limiter, math.floor(math.abs(window)))
    end
  end
  if not stamped then
    call("SET", job .. ":lock", token, "PX", lock_ms)
  end
  call("XADD", events, "*", "event", "active", "jobId", id, "prev", "waiting")
  call("HSET", job, "processedOn", now_text, "pb", worker, "ats", values[6] and (tonumber(values[6]) or 0) + 1 or "1")
  table.insert(values, 1, id)
  fetched[#fetched + 1] = values
end

local function take(count)
  local ids = {}
  local popped = call("RPOP", wait, count)
  if popped then
    for _, id in ipairs(popped) do
      if string.sub(id, 1, 2) ~= "0:" then -- markers that clients before v5 left in the list
        ids[#ids + 1] = id
      end
    end
  end
  local missing = count - (popped and #popped or 0)
  if missing > 0 then
    local best = call("ZPOPMIN", prioritized, missing)
    for i = 1, #best, 2 do
      ids[#ids + 1] = best[i]
    end
    if #best < 2 * missing then
      call("DEL", priority_counter)
      if grouping then -- groups: after what has none
        grouping.take(ids, missing - #best / 2)
      end
    end
  end
  return ids, popped and #popped > 0
end

if slots > 0 then
  promote_due()
  local open = slots
  while open > 0 do
    local count = open
    if max_jobs then
      local used = tonumber(call("GET", limiter) or 0)
      if used >= max_jobs then
        local ttl = call("PTTL", limiter)
        if ttl == 0 then
          call("DEL", limiter)
        end
        if ttl > 0 then
          rate_ttl = ttl
          break
        end
      else
        count = math.min(count, max_jobs - used)
      end
    end
    if paused then
      break
    end
    if concurrency then
      local room = concurrency - call("LLEN", active)
      if room <= 0 then
        break
      end
      count = math.min(count, room)
    end
    count = math.min(count, CHUNK)
    local ids, more = take(count)
    if #ids == 0 and not more then
      break
    end
    local before = #fetched
    for _, id in ipairs(ids) do
      start(id)
    end
    local started = {}
    for i = before + 1, #fetched do
      started[#started + 1] = fetched[i][1]
    end
    if #started > 0 then
      call("LPUSH", active, unpack(started))
    end
    open = slots - #fetched
  end
  if #fetched > 0 then
    -- For the next worker; BullMQ writes it even when nothing is left, and wakes one for nothing.
    if call("LLEN", wait) > 0 or call("ZCARD", prioritized) > 0 or grouping and grouping.is_ready() then
      call("ZADD", marker, "0", "0")
    end
    if record ~= "" then
      local ids = {}
      for i, values in ipairs(fetched) do
        ids[i] = values[1]
      end
      call("SET", record, cjson.encode({ token, now_text, ids }), "PX", "600000")
    end
  end
end
-- A place was freed and not taken here: another worker may sleep that could take it.
if #fetched == 0 and #settled > 0 and (concurrency or some_wait) and not is_stopped()
    and (some_wait or call("EXISTS", wait, prioritized) > 0 or grouping and grouping.is_ready()) then
  call("ZADD", marker, 0, "0")
end

local due, stopped = 0, is_stopped()
if #fetched == 0 then
  due = next_due() or 0
  local looked = slots == 0 or (rate_ttl == 0 and not stopped and due == 0)
  if grouping and slots > 0 and rate_ttl == 0 and not stopped then -- groups: their rate ends a fetch too
    local _, opens = grouping.earlier()
    rate_ttl = opens and math.max(1, math.ceil(due - now)) or 0
  end
  if some_finished and looked and not (grouping and grouping.some_wait())
      and call("LLEN", wait) == 0 and call("LLEN", active) == 0 and call("ZCARD", prioritized) == 0 then
    call("XADD", events, "*", "event", "drained")
  end
end
return { problems, fetched, rate_ttl, string.format("%.0f", math.floor(due)), now_text, stopped and 1 or 0 }
