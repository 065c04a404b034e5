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
             kind 1 completed  [value, keep_count, keep_age_s, fields, told]
             kind 2 failed     [reason, stacktrace, keep_count, keep_age_s, attempts, killed, fields, told, note]
                               killed: it killed its workers; forget how often (`stc`), so that a retry by
                               hand has the whole stall budget again. told: the hooks of the job, see
                               hooks.lua. The last ones may be absent
             kind 3 retry now  [reason, stacktrace, lifo, note]
             kind 4 delay      [delay_ms, spend, fields, signal_key, signal_ms, hold, note]
                               hold: [state, held, member, closed_ms] of the breaker that holds it; mostly absent
             kind 5 put back   [note]
             note: how this run went, for the history of the job's runs; see step_noting.lua. May be absent
          group_limits  [concurrency, jobs, per_ms, max_size] of a group without its own; 0: none
          keep_count -1: all; keep_age -1: for ever; fields: flat list for HSET

  Returns [problems, fetched, rate_ttl_ms, next_due_ms, now_ms, state]
    problems  flat list id, code: -1 job gone, -2 lock gone, -3 not active, -6 lock of another, 1 not plain,
              2 settled, but its hooks could not be added,
              -100 an error while it was written: back in active with no lock, for the sweep to find
    fetched   list of [id, values of FIELDS], or only the first four of them for a job that never ran; one that
              stalled has its mark as a suspect behind them
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

local problems = {}
local function problem(id, code)
  problems[#problems + 1] = id
  problems[#problems + 1] = code
end

--@include hooks
--@include step_noting
--@include step_retention
--@include step_ownership
--@include step_settling
--@include step_fetching

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
