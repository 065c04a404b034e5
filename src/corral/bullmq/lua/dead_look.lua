--[[
  Looks through failed jobs for those that the dead letter desk has not indexed, in the order they failed.

  A job is indexed when its group has it with the score it failed with: one that was retried and failed anew
  is new. Nothing is looked at that failed in this very millisecond: another may still fail in it.

  KEYS  1 failed
  ARGV  1 msgpack [base, own, from, skip, looks, reads, overlap_ms, overlap]
          own      what the desk's keys of this queue begin with
          from     score to begin at; below 0: a bit before where the index stands, since workers whose
                   clocks are behind write into the past: overlap_ms, but no more than `overlap` jobs
          skip     leave out so many of that score
          looks    look at most at so many, and stop when `reads` are found

  Returns [found, looked, from, skip, failed, indexed, version, now_ms]
    found  list of [id, score, name, failedReason, stacktrace, corral:cancel]
    from, skip  where to go on
]]
local call = redis.call
local failed = KEYS[1]
local base, own, from, skip, looks, reads, overlap_ms, overlap = unpack(cmsgpack.unpack(ARGV[1]))
--@include dead_members

local MOST_BYTES = 2000000

local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = call("HMGET", own .. "state", "position", "version")
if from < 0 then
  local position = tonumber(state[1]) or 0
  from = math.max(0, position - overlap_ms)
  local edge = call("ZREVRANGEBYSCORE", failed, number(position), number(from), "WITHSCORES", "LIMIT", overlap, 1)
  if edge[2] then
    from = tonumber(edge[2])
  end
end

local rows = call("ZRANGEBYSCORE", failed, number(from), number(now - 1), "WITHSCORES", "LIMIT", skip, looks)
local found, looked, bytes = {}, 0, 0
for i = 1, #rows, 2 do
  if #found >= reads or bytes > MOST_BYTES then
    break
  end
  local id, score = rows[i], tonumber(rows[i + 1])
  looked = looked + 1
  skip = score == from and skip + 1 or 1
  from = score
  local group = call("HGET", of, id)
  if not group or tonumber(call("ZSCORE", group_key(group), id) or -1) ~= score then
    local fields = call("HMGET", base .. id, "name", "failedReason", "stacktrace", "corral:cancel")
    for place = 1, 4 do
      fields[place] = fields[place] or ""
      bytes = bytes + #fields[place]
    end
    found[#found + 1] = { id, rows[i + 1], fields[1], fields[2], fields[3], fields[4] }
  end
end
return { found, looked, number(from), skip, call("ZCARD", failed), call("HLEN", of), state[2] or "", number(now) }
