--[[
  Takes the lease of the alert evaluator, or renews it.

  KEYS  1 lease  2 state  3 silences  4 acknowledgements
  ARGV  1 token  2 milliseconds that it lasts  3 "1": the caller needs the state, even if the lease was his

  Returns held, epoch milliseconds, state, silences, acknowledgements
    held      0: another has it; 1: it was the caller's; 2: it is since this call
    state     the document, or ""; only where it is needed: with held 2, or asked for
    silences  also those that are over: see alert_silences.lua
    acknowledgements  also of alerts that fire no more
]]
local call = redis.call
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function values(key)
  local found, rows = {}, call("HGETALL", key)
  for i = 2, #rows, 2 do
    found[i / 2] = rows[i]
  end
  return found
end
local silences, acknowledged = values(KEYS[3]), values(KEYS[4])
local holder = call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
  return { 0, now, "", silences, acknowledged }
end
call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
local needed = not holder or ARGV[3] == "1"
return { holder and 1 or 2, now, needed and call("GET", KEYS[2]) or "", silences, acknowledged }
