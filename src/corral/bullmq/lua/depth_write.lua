--[[
  Notes how deep queues are, once for each minute, and the deepest of each hour. Or how many workers there
  are: the fleet is as one more queue (fleets.py).

  KEYS  of each queue: its hash of minutes, its hash of hours (names: Unit.hashes in statistics.py)
  ARGV  1 minute of the hour  2 hour of the day  3, 4 how long the two hashes live from now, ms
        and of each queue: msgpack list of whole numbers (Depth in depths.py, Fleet in fleets.py)

  The first to write a minute wins: whoever else writes it changes nothing, so hours count no minute twice.
  Returns how many queues were noted.
]]
local call = redis.call
local minute, hour, minutes_ms, hours_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local function deepest(one, text)
  local read, other = pcall(cmsgpack.unpack, text)
  if read and type(other) == "table" then
    for i, number in ipairs(one) do
      one[i] = math.max(number, other[i] or 0)
    end
  end
  return one
end

local noted = 0
for i = 1, #KEYS, 2 do
  local text = ARGV[4 + (i + 1) / 2]
  -- HSETNX, in two commands that the users of old have.
  if call("HEXISTS", KEYS[i], minute) == 0 then
    call("HSET", KEYS[i], minute, text)
    local before = call("HGET", KEYS[i + 1], hour)
    if before then
      text = cmsgpack.pack(deepest(cmsgpack.unpack(text), before))
    end
    call("HSET", KEYS[i + 1], hour, text)
    call("PEXPIRE", KEYS[i], minutes_ms)
    call("PEXPIRE", KEYS[i + 1], hours_ms)
    noted = noted + 1
  end
end
return noted
