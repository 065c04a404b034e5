--[[
  Puts back jobs that a fetch took whose answer never arrived: nobody runs them, yet they hold locks.
  Without this they would wait for their lock to expire and count as stalled.

  KEYS  1 active  2 wait  3 prioritized  4 stalled  5 meta  6 marker  7 events
  ARGV  1 base  2 msgpack list of the lock tokens of those fetches

  Returns the ids that went back.
]]
local call = redis.call
local active, wait, prioritized, stalled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, marker, events = KEYS[5], KEYS[6], KEYS[7]
local base = ARGV[1]

local lost = {}
for _, token in ipairs(cmsgpack.unpack(ARGV[2])) do
  lost[token] = true
end

local ids = call("LRANGE", active, 0, -1)
local recovered = {}
for from = 1, #ids, 1000 do
  local keys = {}
  for i = from, math.min(from + 999, #ids) do
    keys[#keys + 1] = base .. ids[i] .. ":lock"
  end
  local tokens = call("MGET", unpack(keys))
  for i, token in ipairs(tokens) do
    if token and lost[token] then
      recovered[#recovered + 1] = ids[from + i - 1]
    end
  end
end

local max_events = call("HGET", meta, "opts.maxLenEvents") or 10000
for _, id in ipairs(recovered) do
  local job = base .. id
  call("DEL", job .. ":lock")
  call("SREM", stalled, id)
  call("LREM", active, -1, id)
  call("HINCRBY", job, "ats", -1)
  local priority = tonumber(call("HGET", job, "priority")) or 0
  if priority > 0 then
    call("ZADD", prioritized, priority * 4294967296, id)
  else
    call("RPUSH", wait, id)
  end
  call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id, "prev", "active")
end
if #recovered > 0 and not call("HGET", meta, "paused") then
  call("ZADD", marker, 0, "0")
end
return recovered
