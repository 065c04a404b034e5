--[[
  How queues stand: some commands for each, whatever it holds.

  KEYS  the meta key of each queue
  ARGV  1 late_ms: a schedule whose next run is overdue by less is on time
        and of each queue: its base (with the trailing colon), its hash of unknown names

  Returns for each queue [since_ms, paused, [schedule, overdue_ms, ...], [name, seen_ms, ...], lengths,
    limiter]
    lengths   of its lists and sets, in the order of `counts` in reader.py
    limiter   started in its rate's window, the window's rest in ms (below 0: none is open), the live rate, its
              window in ms and the live concurrency, each "" where none is set
    since_ms  as text: when the job could have started that has waited longest; "0": none waits
]]
local call = redis.call
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local late_ms = tonumber(ARGV[1])

-- Looked at from the end that runs next: among them may be jobs that ran before, whose wait nobody knows.
local LOOK = 5
-- A schedule that is not among the first so many is late for the same reason as those.
local MOST_LATE = 20

local function delay_of(opts)
  if not opts or not string.find(opts, '"delay":', 1, true) then
    return 0
  end
  local read, options = pcall(cjson.decode, opts)
  return read and type(options) == "table" and tonumber(options.delay) or 0
end

-- When a job could have started, and whether that is known: of one that ran before, its last start.
local function due(base, id)
  local job = base .. id
  local kind = call("TYPE", job).ok
  if kind ~= "hash" then
    return nil
  end
  local values = call("HMGET", job, "timestamp", "opts", "processedOn")
  local added = tonumber(values[1])
  if not added then
    return nil
  end
  local at = math.min(added + math.max(0, delay_of(values[2])), now)
  local started = tonumber(values[3])
  return started and math.max(at, started) or at, not started
end

local function earliest(base, ids)
  local known, guessed
  for _, id in ipairs(ids) do
    local at, sure = due(base, id)
    if at and sure then
      known = math.min(known or at, at)
    elseif at then
      guessed = math.min(guessed or at, at)
    end
  end
  return known or guessed
end

local function oldest(base)
  local found
  local function take(at)
    if at then
      found = math.min(found or at, at)
    end
  end
  for _, list in ipairs({ "wait", "paused" }) do
    local key = base .. list
    take(earliest(base, call("LRANGE", key, -LOOK, -1)))
    take(earliest(base, call("LRANGE", key, 0, 0))) -- the oldest if all came in front (LIFO)
  end
  local prioritized = base .. "prioritized"
  take(earliest(base, call("ZRANGE", prioritized, 0, 0)))
  local last = call("ZRANGE", prioritized, -1, -1, "WITHSCORES")[2]
  if last then -- the first of the lowest priority, which waits for all others
    local band = string.format("%.0f", math.floor(tonumber(last) / 4294967296) * 4294967296)
    take(earliest(base, call("ZRANGEBYSCORE", prioritized, band, "+inf", "LIMIT", 0, 1)))
  end
  local parked = call("ZREVRANGEBYSCORE", base .. "waiting-children", "(0", "-inf", "WITHSCORES", "LIMIT", 0, 1)
  take(parked[2] and -tonumber(parked[2]))
  local delayed = call("ZRANGE", base .. "delayed", 0, 0, "WITHSCORES")[2]
  delayed = delayed and math.floor(tonumber(delayed) / 4096)
  take(delayed and delayed <= now and delayed or nil) -- due, and no worker there to move it
  return string.format("%.0f", found or 0)
end

local function late(base)
  local upto = string.format("%.0f", now - late_ms)
  local found = call("ZRANGEBYSCORE", base .. "repeat", "-inf", upto, "WITHSCORES", "LIMIT", 0, MOST_LATE)
  for i = 2, #found, 2 do
    found[i] = string.format("%.0f", now - tonumber(found[i]))
  end
  return found
end

local function lengths(base)
  local found = {}
  for i, list in ipairs({ "wait", "paused", "active" }) do
    found[i] = call("LLEN", base .. list)
  end
  for _, set in ipairs({ "delayed", "prioritized", "completed", "failed", "waiting-children" }) do
    found[#found + 1] = call("ZCARD", base .. set)
  end
  found[#found + 1] = call("ZCOUNT", base .. "waiting-children", "-inf", "(0")
  return found
end

local function limiter(base, meta)
  local key = base .. "limiter"
  local set = call("HMGET", meta, "max", "duration", "concurrency")
  return { tonumber(call("GET", key)) or 0, call("PTTL", key), set[1] or "", set[2] or "", set[3] or "" }
end

local answer = {}
for i, meta in ipairs(KEYS) do
  local base = ARGV[2 * i]
  local unknown = call("HGETALL", ARGV[2 * i + 1])
  local paused = call("HEXISTS", meta, "paused")
  answer[i] = { oldest(base), paused, late(base), unknown, lengths(base), limiter(base, meta) }
end
return answer
