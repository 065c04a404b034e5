-- Part of step.lua: finished jobs are written and trimmed in batches, each with all its keys.
-- Needs call, base, now, now_text, TARGET. Defines add_finished, flush_finished, some_finished.

local function delete_jobs(ids, from, to)
  local keys = {}
  for i = from, to do
    local job = base .. ids[i]
    keys[#keys + 1] = job
    keys[#keys + 1] = job .. ":logs"
    keys[#keys + 1] = job .. ":dependencies"
    keys[#keys + 1] = job .. ":processed"
    keys[#keys + 1] = job .. ":failed"
    keys[#keys + 1] = job .. ":unsuccessful"
  end
  call("DEL", unpack(keys))
end

local CHUNK = 1000 -- unpack() of a Lua call holds about 8,000 values; a job has six keys

local function remove_finished(target, ids)
  local removable = {}
  for _, id in ipairs(ids) do
    -- A failed child may still hold its parent back; only the official scripts let go of it properly.
    if target == TARGET[1] or not call("HGET", base .. id, "parentKey") then
      removable[#removable + 1] = id
    end
  end
  for from = 1, #removable, CHUNK do
    local to = math.min(from + CHUNK - 1, #removable)
    delete_jobs(removable, from, to)
    call("ZREM", target, unpack(removable, from, to))
  end
end

-- Consecutive jobs that finish with one outcome and one retention are written and trimmed together.
local finished, finished_kind, finished_count, finished_age = {}, nil, nil, nil
local some_finished = false

local function flush_finished()
  if not finished_kind or #finished == 0 then
    finished_kind = nil
    return
  end
  local target = TARGET[finished_kind]
  if finished_count == 0 then
    for from = 1, #finished, CHUNK do
      delete_jobs(finished, from, math.min(from + CHUNK - 1, #finished))
    end
  else
    local pairs_of = {}
    for i, id in ipairs(finished) do
      pairs_of[2 * i - 1] = now_text
      pairs_of[2 * i] = id
    end
    for from = 1, #pairs_of, 2 * CHUNK do
      call("ZADD", target, unpack(pairs_of, from, math.min(from + 2 * CHUNK - 1, #pairs_of)))
    end
    if finished_age >= 0 then
      remove_finished(target,
        call("ZREVRANGEBYSCORE", target, now - finished_age * 1000, "-inf", "LIMIT", 0, 1000))
    end
    if finished_count > 0 then
      remove_finished(target, call("ZREVRANGE", target, finished_count, -1))
    end
  end
  finished, finished_kind = {}, nil
end

local function add_finished(kind, id, count, age)
  if kind ~= finished_kind or count ~= finished_count or age ~= finished_age then
    flush_finished()
    finished_kind, finished_count, finished_age = kind, count, age
  end
  finished[#finished + 1] = id
  some_finished = true
end
