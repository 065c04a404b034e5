--[[
  What tells that queues changed: a short text of each, which differs when something did. Some commands a
  queue, whatever it holds.

  KEYS  the meta key of each queue
  ARGV  of each queue: its base, and what its keys of Corral begin with, both with the trailing colon

  Returns for each queue [jobs, waiting, dead, schedules]
    jobs       how many are in each state, the last event, pause and limits
    waiting    how many could start now
    dead       the state of the dead letter desk
    schedules  how many, which is next, how many are paused
]]
local call = redis.call
local NONE = "-"

local function flat(found)
  return table.concat(found, ",")
end

local answer = {}
for i, meta in ipairs(KEYS) do
  local base, own = ARGV[2 * i - 1], ARGV[2 * i]
  local jobs = {}
  for n, list in ipairs({ "wait", "paused", "active" }) do
    jobs[n] = call("LLEN", base .. list)
  end
  for _, set in ipairs({ "prioritized", "delayed", "completed", "failed", "waiting-children" }) do
    jobs[#jobs + 1] = call("ZCARD", base .. set)
  end
  local waiting = jobs[1] + jobs[2] + jobs[4] + call("ZCOUNT", base .. "waiting-children", "-inf", "(0")
  local last = call("XREVRANGE", base .. "events", "+", "-", "COUNT", 1)[1]
  jobs[#jobs + 1] = last and last[1] or NONE
  jobs[#jobs + 1] = call("GET", base .. "id") or NONE
  jobs[#jobs + 1] = flat(call("HGETALL", meta))
  local dead = { flat(call("HGETALL", own .. "dead:state")), call("ZCARD", own .. "dead:groups") }
  dead[#dead + 1] = call("HLEN", own .. "dead:of")
  for _, id in ipairs(call("ZRANGE", own .. "dead:ops", -5, -1)) do
    dead[#dead + 1] = flat(call("HGETALL", own .. "dead:op:" .. id))
  end
  local next_run = call("ZRANGE", base .. "repeat", 0, 0, "WITHSCORES")
  local schedules = { call("ZCARD", base .. "repeat"), call("HLEN", own .. "schedules:paused"), flat(next_run) }
  answer[i] = { flat(jobs), waiting, table.concat(dead, ";"), flat(schedules) }
end
return answer
