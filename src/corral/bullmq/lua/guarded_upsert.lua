--[[
  BullMQ's addJobScheduler, run only if the schedule is still as its caller read it.

  It is no script by itself: scheduler.py puts BullMQ's own text, as it is installed, in the marked place.
  BullMQ's upsert is blind: of two workers that add one schedule at once, the second would start its count
  anew, and a schedule that was paused meanwhile would run beside its paused copy.

  KEYS  1 to 11 as BullMQ's  12 hash of the schedule  13 paused schedules
  ARGV  1 to 9 as BullMQ's  10 the hash as it was read, joined by NUL ("": none)
        11 its paused record as it was read ("": none)  12 runs made so far ("": as the hash says)

  Returns what BullMQ's script returns, or -100: it is another by now.
]]
local now_fields = table.concat(redis.call("HGETALL", KEYS[12]), "\0")
local now_paused = redis.call("HGET", KEYS[13], ARGV[3]) or ""
if now_fields ~= ARGV[10] or now_paused ~= ARGV[11] then
  return -100
end
local function upsert()
  --OFFICIAL--
end
if ARGV[12] ~= "" then
  redis.call("HSET", KEYS[12], "ic", ARGV[12]) -- BullMQ's script goes on from it
end
local answer = upsert()
if type(answer) == "table" then
  redis.call("HDEL", KEYS[13], ARGV[3])
elseif ARGV[12] ~= "" and ARGV[10] == "" then
  redis.call("DEL", KEYS[12])
end
return answer
