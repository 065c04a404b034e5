--[[
  What tells that jobs changed: a short text of each. No command looks through a list, however many wait.

  KEYS  the key of each job
  ARGV  of each job: the base of its queue with the trailing colon, its id

  Returns a text for each; "" if there is no such job.
]]
local call = redis.call
local FIELDS = {
  "timestamp", "processedOn", "finishedOn", "atm", "ats", "stc", "delay", "priority", "progress", "corral:held",
}

local answer = {}
for i, key in ipairs(KEYS) do
  local base, id = ARGV[2 * i - 1], ARGV[2 * i]
  local text = ""
  if call("TYPE", key).ok == "hash" then
    local facts = call("HMGET", key, unpack(FIELDS))
    for n = 1, #FIELDS do
      facts[n] = facts[n] or "-"
    end
    for _, set in ipairs({ "delayed", "prioritized", "completed", "failed", "waiting-children" }) do
      facts[#facts + 1] = call("ZSCORE", base .. set, id) or "-"
    end
    facts[#facts + 1] = call("EXISTS", key .. ":lock")
    facts[#facts + 1] = call("LLEN", key .. ":logs")
    facts[#facts + 1] = call("SCARD", key .. ":dependencies")
    text = table.concat(facts, ",")
  end
  answer[i] = text
end
return answer
