--[[
  Writes a field of a job, if the caller still holds its lock.

  KEYS  1 the job  2 its lock
  ARGV  1 token  2 field  3 value

  Returns 1 if it was written, 0 if the lock is another's or gone.
]]
if redis.call("GET", KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call("HSET", KEYS[1], ARGV[2], ARGV[3])
return 1
