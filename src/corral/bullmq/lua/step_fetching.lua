-- Part of step.lua: takes waiting jobs, as many as there are slots and limits allow.
-- Needs slots, record and all that is before it. Defines fetched, rate_ttl.

-- A job that never ran has only the first ones; the rest costs more than it is worth there.
local FIRST_FIELDS = { "name", "data", "opts", "timestamp" }
local FIELDS = { "name", "data", "opts", "timestamp", "atm", "ats", "stc", "defa", "stacktrace",
  "corral:checkpoint", "corral:wait", "corral:unknown", "rjk", "corral:cancel", "corral:held" }

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
  if values[7] then
    note_death(job, values[7])
    values[#FIELDS + 1] = call("HGET", job, "corral:suspect")
  end
  call("XADD", events, "*", "event", "active", "jobId", id, "prev", "waiting")
  call("HSET", job, "processedOn", now_text, "pb", worker, "ats", values[6] and (tonumber(values[6]) or 0) + 1 or "1")
  table.insert(values, 1, id)
  fetched[#fetched + 1] = values
end

-- Ids, whether the list had any, and whether nothing is left.
local function take(count)
  local ids, dry = {}, false
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
      dry = not grouping
      call("DEL", priority_counter)
      if grouping then -- groups: after what has none
        grouping.take(ids, missing - #best / 2)
      end
    end
  end
  return ids, popped and #popped > 0, dry
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
    local ids, more, dry = take(count)
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
    open = dry and 0 or slots - #fetched
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
