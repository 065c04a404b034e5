--[[
  Removes jobs from the old end of a list of waiting ones, a bounded number a call.

  BullMQ's cleanJobsInSet does it too, but walks the whole list once a call, and its drain does all in one.

  KEYS  1 wait or paused  2 events
  ARGV  1 msgpack [base, until_ms, skip, count]
          base      key prefix of the queue, with its trailing colon
          until_ms  only jobs that were last started, or else added, up to then
          skip      leave out so many at the end: they were kept by earlier calls
          count     look at this many

  Returns [removed, kept, held]
    kept  too young; they stay at the end
    held  ids that stay for now: they have a parent or a schedule, so they take the official script
]]
local call = redis.call
local list, events = KEYS[1], KEYS[2]
local base, until_ms, skip, count = unpack(cmsgpack.unpack(ARGV[1]))

local ids = call("LRANGE", list, -(skip + count), -1)
local looked = #ids - skip
local removed, kept = 0, 0
local held, stay = {}, {}
for i = 1, looked do
  local id = ids[i]
  local job = base .. id
  local fields = call("HMGET", job, "parentKey", "rjk", "processedOn", "timestamp", "deid")
  if (tonumber(fields[3] or fields[4]) or 0) > until_ms then
    kept = kept + 1
    stay[#stay + 1] = id
  elseif fields[1] or fields[2] then
    held[#held + 1] = id
    stay[#stay + 1] = id
  else
    call("DEL", job, job .. ":logs", job .. ":dependencies", job .. ":processed", job .. ":failed",
      job .. ":unsuccessful")
    if fields[5] and call("GET", base .. "de:" .. fields[5]) == id then
      call("DEL", base .. "de:" .. fields[5], base .. "dn:" .. fields[5])
    end
    removed = removed + 1
  end
end
if removed > 0 then
  for i = looked + 1, #ids do
    stay[#stay + 1] = ids[i]
  end
  call("LTRIM", list, 0, -(#ids + 1))
  for from = 1, #stay, 1000 do
    call("RPUSH", list, unpack(stay, from, math.min(from + 999, #stay)))
  end
  call("XADD", events, "*", "event", "cleaned", "count", removed)
end
return { removed, kept, held }
