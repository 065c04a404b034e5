-- Part of step.lua: which of the settled jobs the worker still holds, and what settling needs to know of each.
-- Needs call, base, settled, problem, events, active, stalled. Defines owned, all_left; lets go of the locks.

-- A job hash has six fields when it is added and three more once it has started. One of exactly nine has
-- no parent, no deduplication id and no past: the common case, told by one cheap look.
local ADDED_FIELDS, STARTED_FIELDS = 6, 9
local PLAIN = { false, false, false, false } -- name, parentKey, deid, atm; the priority does not matter here

-- The fields that settling needs, or nil after noting the problem. A job that is not plain keeps its lock
-- for the official script that will settle it.
local function look(id, kind, has_children, killed)
  local job = base .. id
  -- pcall: what is no hash any more must not stop the batch.
  if kind <= 2 and not has_children and redis.pcall("HLEN", job) == STARTED_FIELDS then
    return PLAIN
  end
  local fields = redis.pcall("HMGET", job, "name", "parentKey", "deid", "atm", "priority", "corral:cancel")
  if not fields[1] then
    problem(id, -1)
    return nil
  end
  if kind <= 2 and (fields[2] or fields[3])
      or kind == 1 and call("EXISTS", job .. ":dependencies", job .. ":unsuccessful") > 0 then
    if killed then
      call("HDEL", job, "stc", "corral:suspect") -- the official script that comes next does not know of it
    end
    problem(id, 1)
    return nil
  end
  return fields
end

local owned = {}
local owned_ids = {}
local some_delayed, promoted = false, false
local some_wait = false -- groups: for a place that was freed here

local function own(i, fields)
  owned[i] = fields
  owned_ids[#owned_ids + 1] = settled[i][1]
end

local function refuse(id, held)
  problem(id, call("EXISTS", base .. id) == 0 and -1 or (held and -6 or -2))
end

-- One look at all locks and at all children keys of the batch, instead of two a job.
local function look_at_locked(places)
  local lock_keys, children_keys, unlocked = {}, {}, {}
  for k, i in ipairs(places) do
    local job = base .. settled[i][1]
    lock_keys[k] = job .. ":lock"
    children_keys[k] = job .. ":dependencies"
  end
  local tokens = call("MGET", unpack(lock_keys))
  local has_children = call("EXISTS", unpack(children_keys)) > 0
  for k, i in ipairs(places) do
    local id, held = settled[i][1], tokens[k]
    if held ~= settled[i][2] then
      refuse(id, held)
    else
      local kind = settled[i][3]
      local fields = look(id, kind, has_children, kind == 2 and settled[i][9])
      if grouping and fields ~= PLAIN and grouping.leave(id) then -- groups
        some_wait = true
      end
      if fields then
        own(i, fields)
        unlocked[#unlocked + 1] = lock_keys[k]
      end
    end
  end
  if #unlocked > 0 then
    call("DEL", unpack(unlocked))
  end
end

-- A stamped job had no past when it was fetched. All that it can have got since are children; its handler
-- asks for the lock before it adds one, so this looks for those that somebody else added.
local function look_at_stamped(places)
  local children_keys = {}
  for k, i in ipairs(places) do
    children_keys[k] = base .. settled[i][1] .. ":dependencies"
  end
  local some_children = call("EXISTS", unpack(children_keys)) > 0
  for k, i in ipairs(places) do
    local id, stamp, kind = settled[i][1], settled[i][2], settled[i][3]
    local job = base .. id
    local fields = redis.pcall("HMGET", job, "processedOn", "ats") -- an error has no first entry
    if fields[1] ~= string.sub(stamp, 2) or fields[2] ~= "1" then
      refuse(id, fields[1])
    elseif some_children and kind == 1 and call("EXISTS", children_keys[k]) > 0 then
      call("SET", job .. ":lock", "@" .. string.sub(stamp, 2), "PX", lock_ms) -- the official script asks for it
      problem(id, 1)
    elseif string.byte(stamp) == 33 then -- "!": it ran for long, or has a family by now
      local found = look(id, kind, true)
      if found then
        call("DEL", job .. ":lock")
        own(i, found)
      end
    else
      local asked = kind > 2 and call("HMGET", job, "priority", "corral:cancel")
      own(i, asked and { false, false, false, false, asked[1], asked[2] } or PLAIN)
    end
  end
end

-- Collects places and looks at CHUNK of them at once.
local function in_chunks(look_at)
  local places = {}
  return function(i)
    if i then
      places[#places + 1] = i
    end
    if #places == CHUNK or (not i and #places > 0) then
      look_at(places)
      places = {}
    end
  end
end

if #settled > 0 then
  local locked, stamped = in_chunks(look_at_locked), in_chunks(look_at_stamped)
  for i = 1, #settled do
    local mark = string.byte(settled[i][2])
    if mark == 64 or mark == 33 then -- "@" or "!"
      stamped(i)
    else
      locked(i)
    end
  end
  locked(nil)
  stamped(nil)
  for from = 1, #owned_ids, CHUNK do
    call("SREM", stalled, unpack(owned_ids, from, math.min(from + CHUNK - 1, #owned_ids)))
  end
  call("XTRIM", events, "MAXLEN", "~", max_events)
end

-- Jobs mostly end in the order they started in, so the batch is mostly the tail of the list. Under a
-- concurrency limit each job leaves by itself, since what is decided between them counts the list.
local all_left = false
if #owned_ids > 1 and #owned_ids <= CHUNK and not concurrency then
  local leaving = {}
  for _, id in ipairs(owned_ids) do
    leaving[id] = true
  end
  local tail = call("LRANGE", active, string.format("%d", -#owned_ids), "-1")
  all_left = #tail == #owned_ids
  for _, id in ipairs(tail) do
    all_left = all_left and leaving[id] or false
    leaving[id] = nil -- an id is in the list once
  end
  if all_left then
    call("LTRIM", active, "0", string.format("%d", -#owned_ids - 1))
  end
end
