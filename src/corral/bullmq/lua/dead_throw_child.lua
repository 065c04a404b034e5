--[[
  Goes before BullMQ's removeJob in one script: puts a copy of a failed child into the bin, then BullMQ's own text
  removes the child and lets its parent know. So both happen or neither.

  KEYS  1 job  2 repeat  3 failed (the first two are removeJob's)
  ARGV  1 id  2 "0"  3 base (these are removeJob's)
        4 msgpack [own, op_id, entry, bin_ms, most_jobs, most_bytes]
]]
do
  local call = redis.call
  local base = ARGV[3]
  local own, op_id, entry, bin_ms, most_jobs, most_bytes = unpack(cmsgpack.unpack(ARGV[4]))
  local op = own .. "op:" .. op_id
  local time = call("TIME")
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
--@include dead_members
--@include dead_bin
--@include dead_throw
  local score, id = string.match(entry, "^(%S+) (.+)$")
  if call("LREM", op .. ":held", 1, entry) == 0 then
    return 0 -- another carrier has done it, or it was stopped
  end
  if tonumber(call("ZSCORE", KEYS[3], id) or -1) ~= tonumber(score) or call("EXISTS", KEYS[1] .. ":lock") == 1 then
    call("HINCRBY", op, "gone", 1)
    return 0
  end
  local bytes = size_of(id)
  if fits(bytes) then
    local fields = call("HGETALL", KEYS[1])
    into_bin(id)
    for first = 1, #fields, 1000 do
      call("HSET", KEYS[1], unpack(fields, first, math.min(first + 999, #fields)))
    end
    note_binned(id, score, take_out(id), bytes)
  else
    take_out(id)
  end
  call("HINCRBY", op, "moved", 1)
end
