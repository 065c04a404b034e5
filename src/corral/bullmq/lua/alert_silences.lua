--[[
  The silences that hold. Those that are over are removed, in the same call: a new one of the same id may have
  just been written.

  KEYS  1 silences (hash: id to JSON with `until` in epoch seconds)

  Returns [epoch milliseconds, silence, …]
]]
local call = redis.call
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = { now }
local rows = call("HGETALL", KEYS[1])
for i = 1, #rows, 2 do
  local readable, silence = pcall(cjson.decode, rows[i + 1])
  local over = not readable or type(silence) ~= "table" or (tonumber(silence["until"]) or 0) * 1000 <= now
  if over then
    call("HDEL", KEYS[1], rows[i])
  else
    answer[#answer + 1] = rows[i + 1]
  end
end
return answer
