--[[
  How many of a group's failed jobs failed in each of some spans of time.

  KEYS  1 failed
  ARGV  1 msgpack [own, groups, edges]
          edges  milliseconds, rising: span n is from edge n (with it) to edge n+1 (without it)

  Returns a list of counts for each group, oldest span first. O(spans * log N) each.
]]
local call = redis.call
local own, groups, edges = unpack(cmsgpack.unpack(ARGV[1]))
--@include dead_members

local found = {}
for place, group in ipairs(groups) do
  local counts = {}
  for n = 1, #edges - 1 do
    counts[n] = call("ZCOUNT", group_key(group), number(edges[n]), "(" .. number(edges[n + 1]))
  end
  found[place] = counts
end
return found
