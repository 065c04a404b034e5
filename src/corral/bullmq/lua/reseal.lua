--[[
  Writes payloads that were encrypted anew, each over what its caller read.

  KEYS  1 active
  ARGV  1 msgpack [base, changes]
          base     key prefix of the queue, with its trailing colon
          changes  list of [id, field, sha1, becomes]: the digest of the field as it was read

  A job that runs, or whose field is another by now, stays as it is. Returns how many were written.
]]
local call = redis.call
local base, changes = unpack(cmsgpack.unpack(ARGV[1]))

local written = 0
for _, change in ipairs(changes) do
  local id, field, sha1, becomes = unpack(change)
  local was = call("HGET", base .. id, field)
  if was and redis.sha1hex(was) == sha1 and not call("LPOS", KEYS[1], id) then
    call("HSET", base .. id, field, becomes)
    written = written + 1
  end
end
return written
