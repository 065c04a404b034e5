--[[
  Counts who took a turn within a window that slides, and says how long a further one has to wait.

  KEYS  1 a sorted set of those who took one, by time in milliseconds
  ARGV  1 who wants one  2 how many may  3 the window in milliseconds

  Who has taken one within the window has it already. Returns 0, or the milliseconds to wait.
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = tonumber(ARGV[3])
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - window)
if redis.call("ZSCORE", KEYS[1], ARGV[1]) then
  return 0
end
local taken = redis.call("ZCARD", KEYS[1])
if taken >= tonumber(ARGV[2]) then
  local oldest = redis.call("ZRANGE", KEYS[1], taken - tonumber(ARGV[2]), taken - tonumber(ARGV[2]), "WITHSCORES")
  return math.max(1, tonumber(oldest[2]) + window - now)
end
redis.call("ZADD", KEYS[1], now, ARGV[1])
redis.call("PEXPIRE", KEYS[1], window)
return 0
