--[[
  Puts finished or delayed jobs back to waiting, each where its priority belongs.

  For one job it leaves what BullMQ's reprocessJob (with both counters reset) or promote leaves. BullMQ's script
  for many, moveJobsToWait, drops the priority. A finished job gets all its budgets back: attempts made and
  started, stalls, the time under an unknown name, a wait or a hold that ran out; and it is no longer cancelled.

  KEYS  1 set of the jobs' state  2 wait  3 prioritized  4 pc  5 meta  6 active  7 marker  8 events
  ARGV  1 msgpack [base, state, ids, from, count, name]
          base   key prefix of the queue, with its trailing colon
          state  completed, failed or delayed
          ids    these jobs; empty: `count` jobs of the set from rank `from` on
          name   only jobs of this name; "": any

  Returns [moved, kept, missing]
    kept     not of this name, or not in the set
    missing  no such job; its id leaves the set
]]
local call = redis.call
local source, wait, prioritized, priority_counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, active, marker, events = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local base, state, ids, from, count, name = unpack(cmsgpack.unpack(ARGV[1]))

if #ids == 0 then
  ids = call("ZRANGE", source, from, from + count - 1)
end

--@include requeuing

local moved, kept, missing = 0, 0, 0
for _, id in ipairs(ids) do
  local job = base .. id
  local fields = call("HMGET", job, "name", "priority", "opts", "parentKey")
  if not fields[1] then
    call("ZREM", source, id)
    missing = missing + 1
  elseif (name ~= "" and fields[1] ~= name) or not put_back(id, fields) then
    kept = kept + 1
  else
    moved = moved + 1
  end
end

if moved > 0 then
  wake_workers()
end
return { moved, kept, missing }
