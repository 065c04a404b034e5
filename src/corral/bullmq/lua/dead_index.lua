--[[
  Puts failed jobs into their groups. Doing it twice changes nothing; a job that has left meanwhile is passed.

  A resolved group opens again with a failure after it was resolved; an ignored one when its time or its number
  of failures is over.

  KEYS  1 failed  2 queues with dead letters
  ARGV  1 msgpack [own, queue, entries, position, version, most_groups]
          entries   list of [id, score, group, facts]; facts: flat list that describes a new group
          position  the index stands at least there (epoch ms)
          version   of the fingerprints
          most_groups  beyond it new kinds of failure share the group `other`

  Returns [new, reopened]
    reopened  list of groups
]]
local call = redis.call
local failed = KEYS[1]
local own, queue, entries, position, version, most_groups = unpack(cmsgpack.unpack(ARGV[1]))
--@include dead_members

local groups, state = own .. "groups", own .. "state"
local new, reopened = 0, {}

local function note_failure(facts, group, at)
  local known = call("HMGET", facts, "first", "last", "state", "since", "until", "left")
  if at < (tonumber(known[1]) or math.huge) then
    call("HSET", facts, "first", number(at))
  end
  if at > (tonumber(known[2]) or 0) then
    call("HSET", facts, "last", number(at))
    call("ZADD", groups, number(at), group)
  end
  call("HINCRBY", facts, "total", 1)
  if not known[3] or known[3] == "open" or at <= (tonumber(known[4]) or 0) then
    return
  end
  local opens = known[3] == "resolved"
  if known[3] == "ignored" then
    local left = known[6] and call("HINCRBY", facts, "left", -1)
    opens = (left and left <= 0) or (known[5] and at >= tonumber(known[5]))
  end
  if opens then
    call("HSET", facts, "state", "open", "since", number(at), "reopened", known[3])
    call("HDEL", facts, "until", "left")
    reopened[#reopened + 1] = group
  end
end

for _, entry in ipairs(entries) do
  local id, score, group = entry[1], entry[2], entry[3]
  local at = tonumber(score)
  if tonumber(call("ZSCORE", failed, id) or -1) == at then
    local before = call("HGET", of, id)
    if not before or tonumber(call("ZSCORE", group_key(before), id) or -1) ~= at then
      if not call("ZSCORE", groups, group) then
        local facts = entry[4]
        if call("ZCARD", groups) >= most_groups then
          group, facts = "other", { "error", "", "frame", "", "name", "", "text", "" }
        end
        call("HSET", facts_key(group), unpack(facts))
      end
      put_in(group, id, score)
      note_failure(facts_key(group), group, at)
      new = new + 1
    end
  end
end
if position > (tonumber(call("HGET", state, "position")) or 0) then
  call("HSET", state, "position", number(position))
end
call("HSET", state, "version", version)
call("SADD", KEYS[2], queue)
return { new, reopened }
