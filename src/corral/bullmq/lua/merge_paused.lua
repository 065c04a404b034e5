--[[
  Moves what BullMQ 5 put aside in `paused` back to where everybody else looks for it: into `wait`, in front.

  BullMQ 5 renames `wait` to `paused` when it pauses, adds there while the queue is paused, and renames it back
  when it resumes, over whatever stands in the other list by then. Where `paused` is empty, that cannot happen.
  Whether the queue is paused says meta, for every version, so its jobs wait as well in `wait`.

  KEYS  1 wait  2 paused  3 meta  4 active  5 marker
  ARGV  1 move at most this many

  Returns [moved, left, version]
    left     how many are still in `paused`
    version  what the last Node client wrote in meta, or ""
]]
local call = redis.call
local wait, paused = KEYS[1], KEYS[2]

local attributes = call("HMGET", KEYS[3], "version", "paused", "concurrency")
-- The newest first, as BullMQ 6 does: after the last part the oldest are in front.
local ids = call("LRANGE", paused, 0, tonumber(ARGV[1]) - 1)
if #ids > 0 then
  call("LTRIM", paused, #ids, -1)
  for from = 1, #ids, 1000 do
    call("RPUSH", wait, unpack(ids, from, math.min(from + 999, #ids)))
  end
  local concurrency = tonumber(attributes[3])
  if not attributes[2] and not (concurrency and call("LLEN", KEYS[4]) >= concurrency) then
    call("ZADD", KEYS[5], 0, "0")
  end
end
return { #ids, call("LLEN", paused), attributes[1] or "" }
