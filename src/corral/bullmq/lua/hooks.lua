-- Completion hooks: what step.lua and the scripts of hooking.py share.
--
-- Spliced in at `--@include hooks`. Needs in scope: call. Defines one local, `add_hooks(told, at)`: adds a job
-- `deliver` to the queue of the given base for each head, as addStandardJob would.
--   told  [base, opts, heads, middle, tail, …]; head .. middle .. tail is a job's data up to `finishedOn`
--   at    the moment in epoch ms, as text
-- Nothing is called for a job without hooks. Raises what Redis raises.
local function add_hooks(told, at)
  local base, opts, heads, middle, tail = unpack(told)
  if #heads == 0 then
    return
  end
  local events = base .. "events"
  local meta = call("HMGET", base .. "meta", "opts.maxLenEvents", "paused", "concurrency")
  local max_events = meta[1]
  if not max_events then
    max_events = 10000
    call("HSET", base .. "meta", "opts.maxLenEvents", max_events)
  end
  local stopped = meta[2] or (meta[3] and call("LLEN", base .. "active") >= tonumber(meta[3]))
  for _, head in ipairs(heads) do
    local id = string.format("%.0f", call("INCR", base .. "id"))
    local data = head .. middle .. tail .. ',"finishedOn":' .. at .. "}"
    call("HSET", base .. id, "name", "deliver", "data", data, "opts", opts, "timestamp", at,
      "delay", "0", "priority", "0")
    call("XADD", events, "*", "event", "added", "jobId", id, "name", "deliver")
    call("LPUSH", base .. "wait", id)
    call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id)
  end
  if not stopped then
    call("ZADD", base .. "marker", "0", "0")
  end
end
