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
-- Where `lengths` has them.
local DELAYED, PRIORITIZED, PARKED = 4, 5, 9
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
  local values = redis.pcall("HMGET", base .. id, "timestamp", "opts", "processedOn")
  if values.err then -- no hash: something else has the name of a job
    return nil
  end
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

-- lengths: where nothing is, nothing is looked for, since most queues have most of their lists empty.
local function oldest(base, lengths)
  local found
  local function take(at)
    if at then
      found = math.min(found or at, at)
    end
  end
  for i, list in ipairs({ "wait", "paused" }) do
    if lengths[i] > 0 then
      local key = base .. list
      take(earliest(base, call("LRANGE", key, -LOOK, -1)))
      if lengths[i] > LOOK then -- the oldest if all came in front (LIFO)
        take(earliest(base, call("LRANGE", key, 0, 0)))
      end
    end
  end
  if lengths[PRIORITIZED] > 0 then
    local prioritized = base .. "prioritized"
    take(earliest(base, call("ZRANGE", prioritized, 0, 0)))
    -- the first of the lowest priority, which waits for all others
    local last = call("ZRANGE", prioritized, -1, -1, "WITHSCORES")[2]
    local band = string.format("%.0f", math.floor(tonumber(last) / 4294967296) * 4294967296)
    take(earliest(base, call("ZRANGEBYSCORE", prioritized, band, "+inf", "LIMIT", 0, 1)))
  end
  if lengths[PARKED] > 0 then
    local parked = call("ZREVRANGEBYSCORE", base .. "waiting-children", "(0", "-inf", "WITHSCORES", "LIMIT", 0, 1)
    take(-tonumber(parked[2]))
  end
  if lengths[DELAYED] > 0 then
    local first = math.floor(tonumber(call("ZRANGE", base .. "delayed", 0, 0, "WITHSCORES")[2]) / 4096)
    take(first <= now and first or nil) -- due, and no worker there to move it
  end
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
  local children = found[#found]
  found[PARKED] = children > 0 and call("ZCOUNT", base .. "waiting-children", "-inf", "(0") or 0
  return found
end

-- most, window, concurrency: the live limits, if there are any.
local function limiter(base, most, window, concurrency)
  local key = base .. "limiter"
  local used = tonumber(call("GET", key))
  return { used or 0, used and call("PTTL", key) or -2, most or "", window or "", concurrency or "" }
end

local answer = {}
for i, meta in ipairs(KEYS) do
  local base = ARGV[2 * i]
  local unknown = call("HGETALL", ARGV[2 * i + 1])
  local paused, most, window, concurrency = unpack(call("HMGET", meta, "paused", "max", "duration", "concurrency"))
  local numbers = lengths(base)
  local limits = limiter(base, most, window, concurrency)
  answer[i] = { oldest(base, numbers), paused and 1 or 0, late(base), unknown, numbers, limits }
end
return answer
