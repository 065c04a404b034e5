-- Part of the scripts of the dead letter desk that discard: what of a job goes into the bin, and its record there.
-- Needs call, base, own, op, now, bin_ms, most_jobs, most_bytes and dead_bin, dead_members.
-- Defines size_of, fits, into_bin, note_binned.

local ROW_BYTES, JOB_BYTES = 100, 512

-- About: what Redis itself needs for it comes on top.
local function size_of(id)
  local fields = call("HMGET", base .. id, "data", "stacktrace", "corral:checkpoint")
  local bytes = JOB_BYTES + ROW_BYTES * call("LLEN", base .. id .. ":logs")
  for place = 1, 3 do
    bytes = bytes + #(fields[place] or "")
  end
  return bytes
end

local function fits(bytes)
  return call("ZCARD", bin) < most_jobs and bin_bytes() + bytes <= most_bytes
end

local function into_bin(id)
  for _, part in ipairs(PARTS) do
    if call("EXISTS", base .. id .. part) == 1 then
      call("RENAME", base .. id .. part, binned_key(id) .. part)
      call("PEXPIRE", binned_key(id) .. part, bin_ms)
    end
  end
end

local function note_binned(id, score, group, bytes)
  drop_facts(id)
  call("ZADD", bin, string.format("%.0f", now), id)
  call("HSET", bin_facts, id, string.format("%s %s %d %s", score, group or "", bytes, op_id))
  call("HINCRBY", own .. "state", "bin_bytes", bytes)
  call("ZADD", own .. "bin:" .. op_id, score, id)
  call("PEXPIRE", own .. "bin:" .. op_id, bin_ms)
  call("HINCRBY", op, "binned", 1)
end
