--[[
  What was counted in the last minutes, of several queues as they are and by job name.

  KEYS  of each queue: its zset of job names
  ARGV  1 the first minute since the epoch  2 the last  3 whether job names are wanted, too (1)
        and of each queue: what its keys of Corral begin with, with the trailing colon

  Returns for each queue and minute a list of name ("": the queue as a whole), entry, ...: entries of
    stats_write.lua
]]
local call = redis.call
local first, last, by_name = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == "1"

local answer = {}
for i, names_key in ipairs(KEYS) do
  local own, minutes = ARGV[3 + i], {}
  local names = by_name and call("ZRANGEBYSCORE", names_key, first * 60000, "+inf") or {}
  table.insert(names, 1, "")
  for minute = first, last do
    local fields, found = {}, {}
    for n, name in ipairs(names) do
      fields[n] = (minute % 60) .. (name == "" and "" or ":" .. name)
    end
    local texts = call("HMGET", own .. "stats:m:" .. math.floor(minute / 60), unpack(fields))
    for n, text in ipairs(texts) do
      if text then
        found[#found + 1] = names[n]
        found[#found + 1] = text
      end
    end
    minutes[#minutes + 1] = found
  end
  answer[i] = minutes
end
return answer
