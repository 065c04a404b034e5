-- Part of the scripts that carry on an operation on many jobs: who may, whether it is time, how many.
-- The operation is the hash `op`; `jobs` is the list of what is left to do, "score id" each, the oldest first.
-- Needs call, own, prefix, op_id, carrier, lease_ms, now. Defines op, jobs, held, claim, budget, spend, finish.
local op = own .. "op:" .. op_id
local jobs, held = op .. ":jobs", op .. ":held"

-- A second of work would be a burst; this much lets a carrier that comes late catch up.
local BURST_SECONDS = 0.25
local KEPT_MS = 2592000000

local function finish(state)
  call("HSET", op, "state", state, "ended", string.format("%.0f", now))
  call("HDEL", op, "filter", "lease_until", "carrier")
  call("PEXPIRE", op, KEPT_MS)
  call("DEL", jobs, held, op .. ":seen")
  call("SREM", own .. "ops:live", op_id)
end

-- ended, theirs (another carries it), waiting (for its breaker) or running: then it is ours for lease_ms.
local function claim()
  local fields = call("HMGET", op, "state", "carrier", "lease_until", "breaker")
  local state = fields[1]
  if not state then
    call("SREM", own .. "ops:live", op_id)
    return "ended"
  elseif state == "done" or state == "stopped" then
    return "ended"
  elseif state == "stopping" then
    finish("stopped")
    return "ended"
  elseif fields[2] and fields[2] ~= carrier and (tonumber(fields[3]) or 0) > now then
    return "theirs"
  end
  if fields[4] ~= "" and call("HGET", "corral:" .. prefix .. "::breaker:" .. fields[4], "state") == "open" then
    call("HSET", op, "state", "waiting")
    call("HDEL", op, "carrier", "lease_until") -- whoever looks first when it closes
    return "waiting"
  end
  call("HSET", op, "carrier", carrier, "lease_until", string.format("%.0f", now + lease_ms))
  if state ~= "running" then
    call("HSET", op, "state", "running", "credit", 1, "credit_at", string.format("%.0f", now))
  end
  return "running"
end

local rate, credit, most_credit

-- How many may go now, by the server's clock: all carriers together keep the rate.
local function budget(most)
  local fields = call("HMGET", op, "rate", "credit", "credit_at")
  rate = tonumber(fields[1]) or 0
  if rate <= 0 then
    return most
  end
  most_credit = math.max(1, rate * BURST_SECONDS)
  credit = math.min(most_credit,
    (tonumber(fields[2]) or 0) + math.max(0, now - (tonumber(fields[3]) or now)) * rate / 1000)
  return math.min(most, math.floor(credit))
end

-- Returns the milliseconds until it is worth to come again.
local function spend(used)
  if rate <= 0 then
    return 0
  end
  credit = credit - used
  call("HSET", op, "credit", string.format("%.6f", credit), "credit_at", string.format("%.0f", now))
  local worth = math.max(1, math.min(most_credit, rate / 10))
  return math.max(1, math.ceil((worth - credit) * 1000 / rate))
end
