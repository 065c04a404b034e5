--[[
  Writes the state of the alerts, if the caller still leads.

  KEYS  1 lease  2 state  3 history
  ARGV  1 token  2 milliseconds that the lease lasts from now on  3 state
        4 entries of the history that are kept  5.. new entries, the oldest first

  Returns 1 if it was written, 0 if another leads.
]]
local call = redis.call
if call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end
call("PEXPIRE", KEYS[1], ARGV[2])
call("SET", KEYS[2], ARGV[3])
if #ARGV > 4 then
  call("LPUSH", KEYS[3], unpack(ARGV, 5))
  call("LTRIM", KEYS[3], 0, ARGV[4] - 1)
end
return 1
