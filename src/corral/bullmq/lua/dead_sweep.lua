--[[
  Takes jobs out of the dead letter desk's index that are not failed any more (retried, cleaned, obliterated, gone
  with their retention, failed anew), forgets empty groups that have had their time, and what the bin has lost.

  KEYS  1 failed
  ARGV  1 msgpack [own, group, rank, count, plain_ms, marked_ms, bin_ms]
          group, rank  where to begin; "": at the first group
          count        look at so many jobs
          plain_ms     an empty group that nobody has touched stays so long; one with notes or a state marked_ms

  Returns [group, rank, removed]; group "": all were looked at
]]
local call = redis.call
local failed = KEYS[1]
local own, group, rank, count, plain_ms, marked_ms, bin_ms = unpack(cmsgpack.unpack(ARGV[1]))
local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include dead_members
--@include dead_bin

prune_bin()

local groups = own .. "groups"
local names = call("ZRANGE", groups, 0, -1)
table.sort(names)

local function forget_if_over(name)
  local facts = call("HMGET", facts_key(name), "last", "state")
  local marked = (facts[2] and facts[2] ~= "open") or call("EXISTS", own .. "notes:" .. name) == 1
  if (tonumber(facts[1]) or 0) < now - (marked and marked_ms or plain_ms) then
    call("DEL", facts_key(name), own .. "notes:" .. name)
    call("ZREM", groups, name)
  end
end

local removed, looked = 0, 0
for _, name in ipairs(names) do
  if name >= group then
    if name > group then
      rank = 0
    end
    group = name
    local key = group_key(name)
    while looked < count do
      local rows = call("ZRANGE", key, rank, rank + math.min(count - looked, 500) - 1, "WITHSCORES")
      if #rows == 0 then
        break
      end
      for i = 1, #rows, 2 do
        looked = looked + 1
        if tonumber(call("ZSCORE", failed, rows[i]) or -1) == tonumber(rows[i + 1]) then
          rank = rank + 1
        else
          take_out(rows[i])
          removed = removed + 1
        end
      end
    end
    if call("EXISTS", key) == 0 then
      forget_if_over(name)
    end
    if looked >= count then
      return { group, rank, removed }
    end
  end
end
return { "", 0, removed }
