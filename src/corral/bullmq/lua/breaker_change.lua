--[[
  Writes a change of a breaker over the version it was made from, and lets held jobs go with it.

  Both are one step, so a worker that dies loses neither. An entry whose job is no longer delayed with the score
  that it was held with (it was removed, promoted, changed, or runs) is dropped. A job that is let go stands
  where BullMQ's promote would put it; the probe in front of its equals.

  KEYS  1 state of the breaker  2 its held jobs  3 known breakers  4 live breakers
  ARGV  1 msgpack [name, prefix, version, fields, release, is_probe]
          version   of the state that the change was made from
          fields    flat list for HSET; with is_probe the field `probe` is written here
          release   let so many go; with is_probe, nothing is changed if none can

  Returns [changed, released, dropped, probe]
    changed  0: the breaker has another version by now
]]
local call = redis.call
local state, held, known, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, prefix, version, fields, release, is_probe = unpack(cmsgpack.unpack(ARGV[1]))

if tonumber(call("HGET", state, "version") or "0") ~= version then
  return { 0, 0, 0, "" }
end

local MOST_LOOKS = 2000

local function wake(base, id)
  local job = base .. id
  call("ZREM", base .. "delayed", id)
  local attributes = call("HMGET", base .. "meta", "paused", "concurrency")
  local priority = tonumber(call("HGET", job, "priority")) or 0
  if priority > 0 then
    local turn = is_probe and 0 or call("INCR", base .. "pc")
    call("ZADD", base .. "prioritized", priority * 4294967296 + turn % 4294967296, id)
  else
    call(is_probe and "RPUSH" or "LPUSH", base .. "wait", id)
  end
  local hold = string.match(call("HGET", job, "corral:held") or "", "^%S+ %S+ %S+") or ""
  call("HSET", job, "delay", 0, "corral:held", hold .. (is_probe and " probe" or " released"))
  call("XADD", base .. "events", "*", "event", "waiting", "jobId", id, "prev", "delayed")
  if not attributes[1]
      and not (attributes[2] and call("LLEN", base .. "active") >= tonumber(attributes[2])) then
    call("ZADD", base .. "marker", 0, "0")
  end
end

local released, looked, probe = 0, 0, ""
while released < release and looked < MOST_LOOKS do
  local rows = call("ZRANGE", held, 0, release - released - 1, "WITHSCORES")
  if #rows == 0 then
    break
  end
  for i = 1, #rows, 2 do
    local member = rows[i]
    local queue, id = string.match(member, "^([^:]+):(.+)$")
    local base = prefix .. ":" .. queue .. ":"
    looked = looked + 1
    call("ZREM", held, member)
    if tonumber(call("ZSCORE", base .. "delayed", id) or -1) == tonumber(rows[i + 1])
        and call("EXISTS", base .. id) == 1 then
      wake(base, id)
      released = released + 1
      probe = member
    end
  end
end

local dropped = looked - released
if is_probe and released == 0 then
  return { 1, 0, dropped, "" }
end
call("HSET", state, unpack(fields))
if is_probe then
  call("HSET", state, "probe", probe)
end
call("SADD", known, name)
if call("HGET", state, "state") == "open" or call("ZCARD", held) > 0 then
  call("SADD", live, name)
else
  call("SREM", live, name)
end
return { 1, released, dropped, probe }
