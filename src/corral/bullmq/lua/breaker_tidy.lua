--[[
  Drops entries of held jobs that are not held any more: removed, promoted, changed or run by whatever tool.

  KEYS  1 held jobs of a breaker
  ARGV  1 msgpack [prefix, from, count]: look at `count` entries from rank `from` on

  Returns [looked, dropped]
]]
local call = redis.call
local held = KEYS[1]
local prefix, from, count = unpack(cmsgpack.unpack(ARGV[1]))

local rows = call("ZRANGE", held, from, from + count - 1, "WITHSCORES")
local dropped = 0
for i = 1, #rows, 2 do
  local queue, id = string.match(rows[i], "^([^:]+):(.+)$")
  local base = prefix .. ":" .. queue .. ":"
  if tonumber(call("ZSCORE", base .. "delayed", id) or -1) ~= tonumber(rows[i + 1])
      or call("EXISTS", base .. id) == 0 then
    call("ZREM", held, rows[i])
    dropped = dropped + 1
  end
end
return { #rows / 2, dropped }
