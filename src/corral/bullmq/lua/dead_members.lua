-- Part of the scripts of the dead letter desk: the index, a sorted set for each group with the scores of the
-- failed set, and `of`, which says of each indexed job in which group it is. Both change together, here alone.
-- Needs call, own. Defines number, group_key, facts_key, put_in, take_out.
local of = own .. "of"

local function number(value)
  return string.format("%.0f", value)
end

local function group_key(group)
  return own .. "group:" .. group
end

local function facts_key(group)
  return own .. "facts:" .. group
end

local function take_out(id)
  local group = call("HGET", of, id)
  if group then
    call("HDEL", of, id)
    call("ZREM", group_key(group), id)
  end
  return group
end

local function put_in(group, id, score)
  take_out(id)
  call("ZADD", group_key(group), score, id)
  call("HSET", of, id, group)
end
