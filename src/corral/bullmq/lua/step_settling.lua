-- Part of step.lua: what becomes of each job that ended.
-- Needs owned, note_run and all that is before it. Emits BullMQ's events.

-- A queue `webhooks` that is broken must not hold back the jobs of others.
local function tell(id, told)
  if not pcall(add_hooks, told, now_text) then
    problem(id, 2)
  end
end

local at = 0
local function settle_rest()
  while at < #settled do
    at = at + 1
    local fields = owned[at]
    if fields then
      local entry = settled[at]
      local id, kind = entry[1], entry[3]
      local job = base .. id
      if kind == 3 and not promoted then
        promoted = true
        promote_due()
      end
      if not all_left and call("LREM", active, "-1", id) < 1 then
        problem(id, -3)
      elseif kind == 1 then
        if entry[5] ~= 0 then
          call("HSET", job, "atm", fields[4] and (tonumber(fields[4]) or 0) + 1 or "1", "returnvalue", entry[4],
            "finishedOn", now_text)
          if entry[7] and #entry[7] > 0 then
            call("HSET", job, unpack(entry[7]))
          end
        end
        add_finished(1, id, entry[5], entry[6])
        call("XADD", events, "*", "event", "completed", "jobId", id, "returnvalue", entry[4], "prev", "active")
        if entry[8] then
          tell(id, entry[8])
        end
      elseif kind == 2 then
        local attempts_made = (tonumber(fields[4]) or 0) + 1
        if entry[6] ~= 0 then
          call("HSET", job, "atm", attempts_made, "failedReason", entry[4], "stacktrace", entry[5],
            "finishedOn", now_text)
          if entry[9] then
            call("HDEL", job, "defa", "stc", "corral:suspect")
          else
            call("HDEL", job, "defa")
          end
          if entry[10] and #entry[10] > 0 then
            call("HSET", job, unpack(entry[10]))
          end
          if entry[12] then
            note_run(job, entry[12])
          end
        end
        add_finished(2, id, entry[6], entry[7])
        call("XADD", events, "*", "event", "failed", "jobId", id, "failedReason", entry[4], "prev", "active")
        if attempts_made >= entry[8] then
          call("XADD", events, "*", "event", "retries-exhausted", "jobId", id, "attemptsMade", attempts_made)
        end
        if entry[11] then
          tell(id, entry[11])
        end
      elseif kind == 3 then
        call("HSET", job, "atm", (tonumber(fields[4]) or 0) + 1, "failedReason", entry[4], "stacktrace", entry[5])
        if entry[7] then
          note_run(job, entry[7])
        end
        local priority = tonumber(fields[5]) or 0
        local stopped = is_stopped()
        if grouping and grouping.parks(id, priority, entry[6]) then -- groups
        elseif priority == 0 then
          call(entry[6] and "RPUSH" or "LPUSH", wait, id)
        else
          push_by_priority(priority, id)
        end
        mark_ready(stopped)
        call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id, "prev", "active")
      else
        local delay = kind == 4 and entry[4]
        local hold = kind == 4 and entry[9]
        local note = entry[kind == 4 and 10 or 4]
        if note then
          note_run(job, note)
        end
        if kind == 4 then
          if hold and call("HGET", hold[1], "state") ~= "open" then -- the breaker was faster
            delay, hold = math.min(delay, hold[4]), nil
          end
          if #entry[6] > 0 then
            call("HSET", job, unpack(entry[6]))
          end
          if entry[7] ~= "" and call("HEXISTS", entry[7], "payload") == 1 then
            delay = nil -- the signal was faster than the wait for it: run again at once
          end
          if fields[6] and string.sub(fields[6], 1, 1) == "?" then
            delay = nil -- somebody cancels it: whoever has it next ends it, and that must not take long
          end
        end
        if delay then
          if entry[5] then
            call("HSET", job, "atm", (tonumber(fields[4]) or 0) + 1)
          end
          local due = now + delay
          call("HSET", job, "delay", delay)
          local score = delayed_score(due)
          call("ZADD", delayed, score, id)
          if hold then
            call("ZADD", hold[2], score, hold[3])
          end
          call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "delayed", "jobId", id, "delay", due)
          some_delayed = true
          if entry[7] ~= "" then -- the score tells this wait from a later delay of the job
            call("HSET", entry[7], "waiter:" .. job, string.format("%.0f %s", score, base))
            if call("PTTL", entry[7]) < entry[8] then -- others may wait for longer
              call("PEXPIRE", entry[7], entry[8])
            end
          end
        else
          local priority = tonumber(fields[5]) or 0
          local stopped = is_stopped()
          if grouping and grouping.parks(id, priority, true) then -- groups
          elseif priority > 0 then
            call("ZADD", prioritized, priority * 4294967296, id)
          else
            call("RPUSH", wait, id)
          end
          mark_ready(stopped) -- BullMQ leaves it out for a prioritized job, which then waits for a poll
          call("XADD", events, "MAXLEN", "~", max_events, "*", "event", "waiting", "jobId", id, "prev", "active")
        end
      end
    end
  end
end

-- An error in one entry must not leave the others between two states; so one guard for all of them.
while not pcall(settle_rest) do
  local id = settled[at][1]
  call("LREM", active, 0, id)
  call("LPUSH", active, id)
  problem(id, -100)
end
flush_finished()
if some_delayed then
  call("ZADD", marker, next_due(), "1")
end
