--[[
  Tries every command that scripts of the queue use, on keys that are gone again at the end.

  KEYS  1 a key of the queue's own space that no job has  2 one of Corral's space, for its pattern to be checked
  ARGV  the commands, in lower case; those that are not known here are not tried

  Returns the commands that the user may not run.
]]
-- What follows the key; false: the command takes no key.
local WITH = {
  del = {}, exists = {}, get = {}, hdel = { "f" }, hexists = { "f" }, hget = { "f" }, hgetall = {},
  hincrby = { "f", 1 }, hkeys = {}, hlen = {}, hmget = { "f" }, hmset = { "f", 1 }, hset = { "f", 1 }, incr = {},
  incrby = { 1 }, lindex = { 0 }, llen = {}, lpop = {}, lpos = { "v" }, lpush = { "v" }, lrange = { 0, 0 },
  lrem = { 0, "v" }, lset = { 0, "v" }, ltrim = { 0, 0 }, mget = {}, pexpire = { 1000 },
  pexpireat = { 4102444800000 }, persist = {}, pttl = {}, rename = { KEYS[1] }, rpop = {}, rpoplpush = { KEYS[1] },
  rpush = { "v" }, sadd = { "v" }, scard = {}, set = { "v" }, sismember = { "v" }, smembers = {},
  srem = { "v" }, sscan = { 0 }, time = false, type = {}, unlink = {}, xadd = { "*", "f", "v" }, xdel = { "1-1" }, xlen = {},
  xrange = { "-", "+" }, xtrim = { "MAXLEN", 1 }, zadd = { 1, "v" }, zcard = {}, zcount = { 0, 1 },
  zlexcount = { "-", "+" }, zpopmin = {}, zrange = { 0, 0 }, zrangebylex = { "-", "+" },
  zrangebyscore = { 0, 1 }, zrem = { "v" }, zremrangebyrank = { 0, 0 }, zremrangebyscore = { 0, 1 },
  zrevrange = { 0, 0 }, zrevrangebyscore = { 1, 0 }, zscore = { "v" },
}

local missing = {}

local function denied(answer)
  local text = type(answer) == "table" and answer.err
  return text and (string.find(text, "NOPERM") or string.find(text, "ACL failure")
    or string.find(text, "executing the script can't"))
end

for _, command in ipairs(ARGV) do
  local arguments = WITH[command]
  if arguments ~= nil then
    redis.pcall("DEL", KEYS[1])
    local answer
    if arguments then
      answer = redis.pcall(command, KEYS[1], unpack(arguments))
    else
      answer = redis.pcall(command)
    end
    if denied(answer) then
      missing[#missing + 1] = command
    end
  end
end
redis.pcall("DEL", KEYS[1])
return missing
