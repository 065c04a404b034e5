-- Part of the scripts of the dead letter desk: the bin, where discarded jobs stay for a while.
-- A job in it is its keys under other names, with an expiry, so nothing is copied and nothing needs a sweeper.
-- `bin` has the ids by the time they were discarded; `bin:facts` the score, group, bytes and operation of each.
-- Needs call, own, now, bin_ms. Defines PARTS, binned_key, drop_facts, prune_bin, bin_bytes.
local PARTS = { "", ":logs", ":dependencies", ":processed", ":failed", ":unsuccessful" }
local bin, bin_facts = own .. "bin", own .. "bin:facts"

local function binned_key(id)
  return own .. "binned:" .. id
end

local function bin_bytes()
  return tonumber(call("HGET", own .. "state", "bin_bytes")) or 0
end

-- Returns score, group, operation; nothing if it is not in the bin.
local function facts_of(id)
  local facts = call("HGET", bin_facts, id)
  if facts then
    local score, group, bytes, operation = string.match(facts, "^(%S+) (%S*) (%d+) (%S+)$")
    return score, group, operation, tonumber(bytes)
  end
end

local function drop_facts(id)
  local _, _, _, bytes = facts_of(id)
  call("ZREM", bin, id)
  call("HDEL", bin_facts, id)
  if bytes then
    call("HINCRBY", own .. "state", "bin_bytes", -bytes)
  end
end

local function prune_bin()
  for _, id in ipairs(call("ZRANGEBYSCORE", bin, "-inf", string.format("%.0f", now - bin_ms), "LIMIT", 0, 1000)) do
    drop_facts(id)
  end
end
