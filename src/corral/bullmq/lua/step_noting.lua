-- Part of step.lua: the history of a job's runs, for whoever looks at it; rows and outcomes: attempts.py.
-- Needs call, now_text, worker. Defines note_run, note_death.

local RUNS_BYTES = 6000 -- some 20 rows; the oldest go

local worker_json

local function add_run(job, rows, start, ended, name, note)
  local row = "[" .. (start or "null") .. "," .. ended .. "," .. name .. "," .. note .. "]"
  if rows then
    row = rows .. "\n" .. row
    if #row > RUNS_BYTES then
      row = string.sub(row, (string.find(row, "\n", #row - RUNS_BYTES, true) or 0) + 1)
    end
  end
  call("HSET", job, "corral:attempts", row)
end

local function note_run(job, note)
  worker_json = worker_json or cjson.encode(worker)
  local kept = call("HMGET", job, "processedOn", "corral:attempts")
  add_run(job, kept[2], kept[1], now_text, worker_json, note)
end

-- A job that stalled (its `stc`-th time) runs again: the run before ended without a word, once each time.
local function note_death(job, times)
  local kept = call("HMGET", job, "processedOn", "pb", "corral:attempts")
  local rows = kept[3] or ""
  local start = kept[1]
  if not start or string.find(rows, "[" .. start .. ",", 1, true) then
    return
  end
  local mark = ',"died",false,' .. times .. "," -- where other rows have their wait
  local at = string.find(rows, mark, 1, true)
  if not at or string.find(rows, ',"dead",', at, true) then -- a dead letter that is retried counts anew
    add_run(job, kept[3], start, "null", cjson.encode(kept[2] or ""), '"died",false,' .. times .. ',"",""')
  end
end
