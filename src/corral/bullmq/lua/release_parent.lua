--[[
  Lets a parent go that waits for children which will never tell it that they finished. A child that is gone
  or left counts as an ignored failure, one that failed too, one that completed as completed. If nothing is
  pending then, the parent runs: at once, by its priority, or after its delay.

  A flow that is being added uses it as well: while `hold` is among the dependencies, no child that was
  complete already releases the parent before the rest of the tree is in.

  KEYS  1 the parent  2 its :dependencies  3 its :processed  4 its :failed  5 waiting-children  6 wait
        7 prioritized  8 delayed  9 active  10 meta  11 marker  12 pc  13 events
  ARGV  1 id  2 prefix, with its colon  3 now_ms  4 hold, or ""

  Returns 1 released, 0 children are pending, -1 no such job (an id that was left behind is taken away),
  -3 it does not wait for children.
]]
local call = redis.call
local parent, pending, processed, ignored, waiting_children = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, prefix, now, hold = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

if hold ~= "" then
  call("SREM", pending, hold)
end
if call("EXISTS", parent) == 0 then
  call("ZREM", waiting_children, id)
  return -1
end
if not call("ZSCORE", waiting_children, id) then
  return -3
end

-- The queue's base and the id of a job's key; an id may hold colons, a queue's name may not.
local function split(key)
  if string.sub(key, 1, #prefix) == prefix then
    local colon = string.find(key, ":", #prefix + 1, true)
    if colon then
      return string.sub(key, 1, colon), string.sub(key, colon + 1)
    end
  end
  return string.match(key, "^(.*:)(.*)$")
end

for _, child in ipairs(call("SMEMBERS", pending)) do
  local base, child_id = split(child)
  local kind = call("TYPE", child).ok
  local reason
  if kind ~= "hash" or not base then
    reason = "The child is gone."
  elseif call("ZSCORE", base .. "completed", child_id) then
    call("HSET", processed, child, call("HGET", child, "returnvalue") or "null")
    call("SREM", pending, child)
  elseif call("ZSCORE", base .. "failed", child_id) then
    reason = call("HGET", child, "failedReason") or "The child failed."
  elseif call("HGET", child, "parentKey") ~= parent then
    reason = "The child belongs to another parent."
  end
  if reason then
    call("HSET", ignored, child, reason)
    call("SREM", pending, child)
  end
end
if call("SCARD", pending) > 0 then
  return 0
end

call("ZREM", waiting_children, id)
local attributes = call("HMGET", parent, "priority", "delay")
local priority, delay = tonumber(attributes[1]) or 0, tonumber(attributes[2]) or 0
if delay > 0 then
  local due = now + delay
  call("ZADD", KEYS[8], due * 4096, id)
  call("XADD", KEYS[13], "*", "event", "delayed", "jobId", id, "delay", string.format("%.0f", due))
  local first = call("ZRANGE", KEYS[8], 0, 0, "WITHSCORES")[2]
  call("ZADD", KEYS[11], tonumber(first) / 4096, "1")
else
  if priority > 0 then
    call("ZADD", KEYS[7], priority * 4294967296 + call("INCR", KEYS[12]) % 4294967296, id)
  else
    call("RPUSH", KEYS[6], id)
  end
  local meta = call("HMGET", KEYS[10], "paused", "concurrency")
  local full = meta[2] and call("LLEN", KEYS[9]) >= tonumber(meta[2])
  if not meta[1] and not full then
    call("ZADD", KEYS[11], 0, "0")
  end
  call("XADD", KEYS[13], "*", "event", "waiting", "jobId", id, "prev", "waiting-children")
end
return 1
