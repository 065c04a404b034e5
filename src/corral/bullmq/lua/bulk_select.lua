--[[
  Collects what an operation on the jobs of a state is about, one step: ids that a search found between two cursors.

  ARGV  1 msgpack [base, own, prefix, op_id, carrier, lease_ms, from_cursor, to_cursor, ids, done, state, last_first]
          base        key prefix of the queue, with its trailing colon
          state       completed or failed: a job that finishes anew later is another matter, so its score is kept
          last_first  the search comes from the end that runs last; the operation begins with what runs first
          done        the search is at its end

  A list moves under a search, which then finds a job twice; it is taken once.

  Returns [verdict, selected]; verdict: see operation_claim.lua; selected 1: all is collected
]]
local call = redis.call
local base, own, prefix, op_id, carrier, lease_ms, from_cursor, to_cursor, ids, done, state, last_first =
  unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include operation_claim

local verdict = claim()
if verdict ~= "running" then
  return { verdict, 0 }
end
local fields = call("HMGET", op, "selected", "cursor")
if fields[1] == "1" then
  return { verdict, 1 }
elseif (fields[2] or "") ~= from_cursor then
  return { verdict, 0 } -- another carrier has been there
end
local seen, push, taken = op .. ":seen", last_first and "LPUSH" or "RPUSH", 0
for _, id in ipairs(ids) do
  local score = "0"
  if state == "completed" or state == "failed" then
    score = call("ZSCORE", base .. state, id)
  end
  if score and call("SADD", seen, id) == 1 then
    call(push, jobs, score .. " " .. id)
    taken = taken + 1
  end
end
if done then
  call("DEL", seen)
else
  call("PEXPIRE", seen, KEPT_MS)
end
call("HINCRBY", op, "total", taken)
call("HSET", op, "cursor", to_cursor, "selected", done and 1 or 0)
return { verdict, done and 1 or 0 }
