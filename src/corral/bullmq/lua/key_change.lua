--[[
  Writes records of API keys, all or none, each over what its caller read.

  KEYS  1 records  2 version  3 used
  ARGV  1 msgpack list of [id, was, becomes]
          was      the record as it was read; "" if there was none
          becomes  the record as it is to be; "" removes it

  Returns 1 if they were written, 0 if one of them is another by now.
]]
local call = redis.call
local changes = cmsgpack.unpack(ARGV[1])

for _, change in ipairs(changes) do
  if (call("HGET", KEYS[1], change[1]) or "") ~= change[2] then
    return 0
  end
end
for _, change in ipairs(changes) do
  if change[3] == "" then
    call("HDEL", KEYS[1], change[1])
    call("HDEL", KEYS[3], change[1])
  else
    call("HSET", KEYS[1], change[1], change[3])
  end
end
call("INCR", KEYS[2])
return 1
