--[[
  Puts back jobs that a fetch took whose answer never arrived: nobody runs them, yet they are active.
  Without this they would wait for the sweep and count as stalled.

  KEYS  1 active  2 wait  3 prioritized  4 stalled  5 meta  6 marker  7 events
  ARGV  1 base  2 msgpack list of [record, token]: where step.lua kept what those fetches took, and their tokens.
        A fetch that never reached the server has left the record of an earlier one

  Returns the ids that went back.
]]
local call = redis.call
local active, wait, prioritized, stalled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, marker, events = KEYS[5], KEYS[6], KEYS[7]
local base = ARGV[1]

-- Is it still the run of that fetch? By its lock, or by its stamp where it has none.
local function is_lost(id, token, stamp)
  local job = base .. id
  local held = call("GET", job .. ":lock")
  local fields = call("HMGET", job, "processedOn", "ats")
  return (held == token or not held and fields[1] == stamp and fields[2] == "1")
    and call("LREM", active, "-1", id) == 1
end

local recovered = {}
for _, lost in ipairs(cmsgpack.unpack(ARGV[2])) do
  local record = call("GET", lost[1])
  local token, stamp, ids
  if record then
    token, stamp, ids = unpack(cjson.decode(record))
  end
  if token == lost[2] then
    for _, id in ipairs(ids) do
      if is_lost(id, token, stamp) then
        recovered[#recovered + 1] = id
      end
    end
    call("DEL", lost[1])
  end
end

local max_events = call("HGET", meta, "opts.maxLenEvents") or 10000
for _, id in ipairs(recovered) do
  local job = base .. id
  call("DEL", job .. ":lock")
  call("SREM", stalled, id)
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
