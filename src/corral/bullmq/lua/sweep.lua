--[[
  Removes the oldest finished jobs that their retention does not cover, a bounded number a call.

  As BullMQ's moveToFinished trims when a job finishes, but also where none finishes any more.

  KEYS  1 completed or failed  2 events
  ARGV  1 msgpack [base, until_ms, keep, count, by_hand]
          base      key prefix of the queue, with its trailing colon
          until_ms  jobs that finished up to then go; -1: none for their age
          keep      so many of the newest stay, the others go; -1: none goes for its number
          count     remove at most this many
          by_hand   true: say `cleaned` in the events, and free the jobs' deduplication ids

  Returns [removed, held]
    held  ids of jobs to remove that have a parent and failed: the parent may wait for them, so they take the
          official script
]]
local call = redis.call
local finished, events = KEYS[1], KEYS[2]
local base, until_ms, keep, count, by_hand = unpack(cmsgpack.unpack(ARGV[1]))

local ids = {}
if until_ms >= 0 then
  ids = call("ZRANGEBYSCORE", finished, "-inf", string.format("%.0f", until_ms), "LIMIT", 0, count)
end
if keep >= 0 then
  local surplus = math.min(call("ZCARD", finished) - keep, count)
  if surplus > #ids then
    ids = call("ZRANGE", finished, 0, surplus - 1)
  end
end

local is_failed = string.sub(finished, -7) == ":failed"
local removed, held = {}, {}
for _, id in ipairs(ids) do
  local job = base .. id
  local fields = call("HMGET", job, "parentKey", "deid")
  if is_failed and fields[1] then
    held[#held + 1] = id
  else
    call("DEL", job, job .. ":logs", job .. ":dependencies", job .. ":processed", job .. ":failed",
      job .. ":unsuccessful")
    if by_hand and fields[2] and call("GET", base .. "de:" .. fields[2]) == id then
      call("DEL", base .. "de:" .. fields[2], base .. "dn:" .. fields[2])
    end
    removed[#removed + 1] = id
  end
end
if #removed > 0 then
  call("ZREM", finished, unpack(removed))
  if by_hand then
    call("XADD", events, "*", "event", "cleaned", "count", #removed)
  end
end
return { #removed, held }
