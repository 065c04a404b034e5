--[[
  Collects what an operation of the dead letter desk is about, one step: a batch and how far it has come, together.

  KEYS  1 failed
  ARGV  1 msgpack [own, prefix, op_id, carrier, lease_ms, count, from_cursor, to_cursor, entries, done]
          to_cursor  "": the operation is about a group: up to `count` members that failed up to its `until`
                     are taken from the index. Else `entries` are ids that a search found between the two
                     cursors, as far as they failed up to then; nothing is done if another carrier has been there
          done       the search is at its end

  Returns [verdict, selected]; verdict: see operation_claim.lua; selected 1: all is collected
]]
local call = redis.call
local own, prefix, op_id, carrier, lease_ms, count, from_cursor, to_cursor, entries, done =
  unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include dead_members
--@include operation_claim

local verdict = claim()
if verdict ~= "running" and verdict ~= "waiting" then -- to collect while it waits harms nobody
  return { verdict, 0 }
end
local fields = call("HMGET", op, "selected", "cursor", "group", "until")
if fields[1] == "1" then
  return { verdict, 1 }
end

if to_cursor == "" then
  local score, last = string.match(fields[2] or "", "^(%S+) (.+)$")
  local from, key = tonumber(score or 0), group_key(fields[3])
  local limit, rows = count, nil
  entries = {}
  repeat -- more, if so many failed in one millisecond that only old acquaintances came
    rows = call("ZRANGEBYSCORE", key, number(from), fields[4], "WITHSCORES", "LIMIT", 0, limit)
    for i = 1, #rows, 2 do
      if not last or tonumber(rows[i + 1]) > from or rows[i] > last then
        entries[#entries + 1] = rows[i + 1] .. " " .. rows[i]
      end
    end
    done = #rows < 2 * limit
    limit = limit * 2
  until #entries > 0 or done
  to_cursor = entries[#entries] or fields[2] or ""
elseif (fields[2] or "") ~= from_cursor then
  return { verdict, 0 }
else
  local ids = entries
  entries = {}
  for _, id in ipairs(ids) do
    local score = call("ZSCORE", KEYS[1], id)
    if score and tonumber(score) <= tonumber(fields[4]) then
      entries[#entries + 1] = score .. " " .. id
    end
  end
end

for first = 1, #entries, 1000 do
  call("RPUSH", jobs, unpack(entries, first, math.min(first + 999, #entries)))
end
call("HINCRBY", op, "total", #entries)
call("HSET", op, "cursor", to_cursor, "selected", done and 1 or 0)
return { verdict, done and 1 or 0 }
