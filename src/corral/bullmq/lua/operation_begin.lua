--[[
  Writes down a new operation on many jobs: of the dead letter desk, or of a list of jobs.

  KEYS  1 failed
  ARGV  1 msgpack [own, op_id, fields, ids, undone, most_kept]
          fields  flat list for HSET; `created` and an absent `until` are set here, by the server's clock
          ids     the operation is about these jobs, as far as they are failed; else an empty list
          undone  it brings back what this operation discarded; else ""

  Returns the number of jobs it is about as far as that is known now, else 0
]]
local call = redis.call
local failed = KEYS[1]
local own, op_id, fields, ids, undone, most_kept = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
local op = own .. "op:" .. op_id

call("HSET", op, unpack(fields))
call("HSET", op, "created", now)
if not call("HGET", op, "until") then
  call("HSET", op, "until", now)
end
local total = 0
for _, id in ipairs(ids) do
  local score = call("ZSCORE", failed, id)
  if score then
    call("RPUSH", op .. ":jobs", score .. " " .. id)
    total = total + 1
  end
end
if undone ~= "" then
  total = call("ZCARD", own .. "bin:" .. undone)
end
call("HSET", op, "total", total)
call("ZADD", own .. "ops", now, op_id)
call("ZREMRANGEBYRANK", own .. "ops", 0, -most_kept - 1)
call("SADD", own .. "ops:live", op_id)
return total
