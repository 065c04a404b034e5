--[[
  Finds schedules whose next run is overdue and is nowhere: nobody will make the run after it.

  A run that waits, or is delayed to be tried again before it ever started, makes its next run when a worker
  takes it. One that has started and still is its schedule's latest was not able to: Redis was away just then.

  KEYS  1 repeat  2 delayed  3 prioritized  4 wait  5 active  6 guard  7 paused schedules  8 last runs
  ARGV  1 key prefix of the queue, with its trailing colon  2 interval_ms: one sweep in each, and how long a
        run must be overdue  3 offset: 0 for a sweep's first page

  Returns false if another worker has swept, or [schedules looked at, now_ms, list of lost ones], a lost one as
  [id, slot_ms, flat fields of its hash, opts of its latest run or false].
]]
local call = redis.call
local base, interval, offset = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local PAGE = 500
local LONGEST_LIST = 10000 -- looking a job up in a list takes as long as the list

local time = call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if offset == 0 then
  if not call("SET", KEYS[6], "1", "NX", "PX", interval) then
    return false
  end
  if call("HLEN", KEYS[8]) > call("ZCARD", KEYS[1]) + call("HLEN", KEYS[7]) then
    for _, id in ipairs(call("HKEYS", KEYS[8])) do
      if not call("ZSCORE", KEYS[1], id) and call("HEXISTS", KEYS[7], id) == 0 then
        call("HDEL", KEYS[8], id) -- removed by a client that does not know of it
      end
    end
  end
end

local lists_are_short
local function is_nowhere(run)
  if call("ZSCORE", KEYS[2], run) or call("ZSCORE", KEYS[3], run) then
    return false
  end
  if lists_are_short == nil then
    lists_are_short = call("LLEN", KEYS[4]) <= LONGEST_LIST and call("LLEN", KEYS[5]) <= LONGEST_LIST
  end
  return lists_are_short and not call("LPOS", KEYS[4], run) and not call("LPOS", KEYS[5], run)
end

local lost = {}
local overdue = call("ZRANGEBYSCORE", KEYS[1], "-inf", now - interval, "WITHSCORES", "LIMIT", offset, PAGE)
for i = 1, #overdue, 2 do
  local id, slot = overdue[i], string.format("%.0f", overdue[i + 1])
  local run = "repeat:" .. id .. ":" .. slot
  local stored = call("HMGET", base .. run, "opts", "processedOn")
  if not stored[1] or stored[2] or is_nowhere(run) then
    lost[#lost + 1] = { id, slot, call("HGETALL", base .. "repeat:" .. id), stored[1] }
  end
end
return { #overdue / 2, string.format("%.0f", now), lost }
