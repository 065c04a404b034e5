--[[
  Takes a schedule out of BullMQ's sight, with its pending run, and keeps its definition for a resume.

  A run that has started, or that is to be tried again, goes on: it finds no schedule to make a next run for.

  KEYS  1 repeat  2 hash of the schedule  3 paused schedules  4 delayed  5 prioritized  6 wait  7 events
  ARGV  1 schedule id  2 key prefix of the queue, with its trailing colon

  Returns 1 paused, 0 there is none that runs.
  The record kept in KEYS[3] is JSON: {fields: flat list of the hash, count: which run the next one is}.
]]
local call = redis.call
local id, base = ARGV[1], ARGV[2]
local score = call("ZSCORE", KEYS[1], id)
if not score then
  return 0
end
local fields = call("HGETALL", KEYS[2])
local run = "repeat:" .. id .. ":" .. string.format("%.0f", score)
local job = base .. run
local stored = call("HMGET", job, "opts", "processedOn", "deid")
local count = tonumber(call("HGET", KEYS[2], "ic")) or 1
local known, options = pcall(cjson.decode, stored[1] or "")
if known and type(options) == "table" and type(options["repeat"]) == "table" then
  count = tonumber(options["repeat"]["count"]) or count
end
if stored[1] and not stored[2] then
  local from = call("ZREM", KEYS[4], run) > 0 and "delayed"
    or call("ZREM", KEYS[5], run) > 0 and "prioritized"
    or call("LREM", KEYS[6], 1, run) > 0 and "waiting"
  if from then
    if stored[3] and call("GET", base .. "de:" .. stored[3]) == run then
      call("DEL", base .. "de:" .. stored[3])
    end
    call("DEL", job, job .. ":logs", job .. ":dependencies", job .. ":processed", job .. ":failed",
      job .. ":unsuccessful")
    call("XADD", KEYS[7], "*", "event", "removed", "jobId", run, "prev", from)
  end
elseif stored[2] then
  count = count + 1
end
call("HSET", KEYS[3], id, cjson.encode({ fields = fields, count = count }))
call("ZREM", KEYS[1], id)
call("DEL", KEYS[2])
return 1
