--[[
  The groups of a queue's failed jobs, those that were seen last first.

  KEYS  1 failed
  ARGV  1 msgpack [base, own, start, count, only]
          only  this one group; "": all

  Returns [failed, indexed, position, bin_jobs, bin_bytes, groups]
    groups  list of [group, count, newest id, its reason (cut), notes, facts]; facts: flat list
]]
local call = redis.call
local failed = KEYS[1]
local base, own, start, count, only = unpack(cmsgpack.unpack(ARGV[1]))
--@include dead_members

local LONGEST = 500

local names = only ~= "" and { only } or call("ZREVRANGE", own .. "groups", start, start + count - 1)
local groups = {}
for _, name in ipairs(names) do
  local facts = call("HGETALL", facts_key(name))
  if #facts > 0 then
    local newest = call("ZREVRANGE", group_key(name), 0, 0)[1] or ""
    local reason = newest ~= "" and call("HGET", base .. newest, "failedReason") or ""
    groups[#groups + 1] = {
      name, call("ZCARD", group_key(name)), newest, string.sub(reason or "", 1, LONGEST),
      call("LLEN", own .. "notes:" .. name), facts,
    }
  end
end
local state = call("HMGET", own .. "state", "position", "bin_bytes")
return { call("ZCARD", failed), call("HLEN", of), state[1] or "0", call("ZCARD", own .. "bin"), state[2] or "0", groups }
