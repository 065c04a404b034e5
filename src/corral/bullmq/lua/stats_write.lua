--[[
  Adds what one worker process has counted to the minute and to the hour, once.

  KEYS  1 number of the last batch of this process that was added
        then of each queue: its counter of ids
  ARGV  1 msgpack [now_ms, batch, queues]
          now_ms  0: the server's clock
          batch   number of this batch; one that was added before (its answer was lost) changes nothing
          queues  list of [own, counts, wait, run, rows, unknown], in the order of the KEYS
             own      what the queue's keys of Corral begin with, with the trailing colon
             counts   of the queue as a whole, as wait and run; the first, what was added, is reckoned here
             rows     list of [job name, counts, wait, run]
             unknown  job names that no handler knew
        counts: see COUNTED in statistics.py. wait, run: flat list of gap to the bucket before, number

  Keys of each queue, all with an end of their own:
    <own>stats:m:<hour>   hash  <minute> and <minute>:<name> to msgpack [counts, wait, run], for 24 hours
    <own>stats:h:<day>    hash  <hour of the day> and so on, the same for 90 days
    <own>stats:names      zset  job names by when they last did something (ms)
    <own>stats:seen       string  the counter of ids at the last look
    <own>stats:unknown    hash  job names that no handler knew, to when one was looked at (ms)

  Returns 1, or 0 for a batch that was added before.
]]
local call = redis.call
local MINUTE, HOUR, DAY = 60000, 3600000, 86400000
local KEEP_MINUTES, KEEP_HOURS = DAY, 90 * DAY
local MOST_NAMES, MOST_UNKNOWN, OTHER = 200, 50, "other"

local now, batch, queues = unpack(cmsgpack.unpack(ARGV[1]))
if now == 0 then
  local time = call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if tonumber(call("GET", KEYS[1])) == batch then
  return 0
end
call("SET", KEYS[1], string.format("%.0f", batch), "PX", DAY)

local function spread(gaps, into)
  local bucket = 0
  for i = 1, #gaps, 2 do
    bucket = bucket + gaps[i]
    into[bucket] = (into[bucket] or 0) + gaps[i + 1]
  end
end

local function together(one, other)
  if #one == 0 then
    return other
  elseif #other == 0 then
    return one
  end
  local numbers, buckets, gaps, last = {}, {}, {}, 0
  spread(one, numbers)
  spread(other, numbers)
  for bucket in pairs(numbers) do
    buckets[#buckets + 1] = bucket
  end
  table.sort(buckets)
  for i, bucket in ipairs(buckets) do
    gaps[2 * i - 1], gaps[2 * i] = bucket - last, numbers[bucket]
    last = bucket
  end
  return gaps
end

local function add(key, field, row, lives_ms)
  local text = call("HGET", key, field)
  local read, before = false, nil
  if text then
    read, before = pcall(cmsgpack.unpack, text)
  end
  if read and type(before) == "table" then
    local counts = before[1]
    for i, number in ipairs(row[1]) do
      counts[i] = (counts[i] or 0) + number
    end
    row = { counts, together(before[2], row[2]), together(before[3], row[3]) }
  end
  call("HSET", key, field, cmsgpack.pack(row))
  call("PEXPIRE", key, lives_ms)
end

local function note(own, name, row)
  local hour, day = math.floor(now / HOUR), math.floor(now / DAY)
  local minute_field = string.format("%d", math.floor(now / MINUTE) % 60) .. name
  local hour_field = string.format("%d", hour % 24) .. name
  add(own .. "stats:m:" .. hour, minute_field, row, (hour + 1) * HOUR + KEEP_MINUTES - now)
  add(own .. "stats:h:" .. day, hour_field, row, (day + 1) * DAY + KEEP_HOURS - now)
end

local function arrived(own, counter)
  local id, key = tonumber(call("GET", counter)) or 0, own .. "stats:seen"
  local seen = tonumber(call("GET", key))
  if id ~= seen then
    call("SET", key, string.format("%.0f", id))
  end
  if not seen then -- the first look: how many of them came lately, nobody knows
    return 0
  end
  return id >= seen and id - seen or id -- counted anew: the queue was removed
end

for i, queue in ipairs(queues) do
  local own, counts, wait, run, rows, unknown = unpack(queue)
  counts[1] = arrived(own, KEYS[i + 1])
  local some = false
  for _, number in ipairs(counts) do
    some = some or number > 0
  end
  if some then
    note(own, "", { counts, wait, run })
  end
  local names = own .. "stats:names"
  for _, row in ipairs(rows) do
    local name = row[1]
    if not call("ZSCORE", names, name) and call("ZCARD", names) >= MOST_NAMES then
      name = OTHER
    end
    call("ZADD", names, now, name)
    note(own, ":" .. name, { row[2], row[3], row[4] })
  end
  if #rows > 0 then
    call("ZREMRANGEBYSCORE", names, "-inf", now - KEEP_HOURS)
    call("PEXPIRE", names, KEEP_HOURS)
  end
  for _, name in ipairs(unknown) do
    local key = own .. "stats:unknown"
    if call("HEXISTS", key, name) == 1 or call("HLEN", key) < MOST_UNKNOWN then
      call("HSET", key, name, string.format("%.0f", now))
      call("PEXPIRE", key, HOUR)
    end
  end
end
return 1
