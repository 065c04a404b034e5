--[[
  Writes what is left of the data of failed jobs whose queue forgets it, and drops their checkpoints.

  KEYS  1 failed
  ARGV  1 msgpack [base, jobs]
          base  key prefix of the queue, with its trailing colon
          jobs  list of [id, sha1, becomes]: the digest of the data as it was read, what is to be left of it

  A job that was retried or changed since it was read stays as it is. Returns how many were written.
]]
local call = redis.call
local base, jobs = unpack(cmsgpack.unpack(ARGV[1]))

local written = 0
for _, entry in ipairs(jobs) do
  local id, sha1, becomes = unpack(entry)
  local job = base .. id
  local data = call("ZSCORE", KEYS[1], id) and call("HGET", job, "data")
  if data and redis.sha1hex(data) == sha1 then
    call("HSET", job, "data", becomes)
    call("HDEL", job, "corral:checkpoint", "corral:checkpointed")
    written = written + 1
  end
end
return written
