-- Groups (and keyed locks): what step.lua, add.lua and the group_*.lua scripts share.
--
-- Spliced in at `--@include groups`. Needs in scope: call, base, now. Defines one local, `open_groups`;
-- a script makes its table only where a queue uses groups (meta's `corral:groups`), so that others pay
-- nothing for it.
--
-- A job of a group carries its name in the field `corral:group`; a keyed lock is a group named `lock:<key>`
-- that holds one running job. While such a job waits it is "parked":
--   corral:<base>group:<g>:jobs    zset   its place: priority * 2^32 + 2^31, counted up behind, down in front
--   <base>waiting-children         zset   with a negative score, which no parent has: so that BullMQ's
--                                         removeJob and removeOrphanedJobs know it, and its Bull Board shows it
-- And of each group:
--   corral:<base>group:<g>:active  set    its running jobs; a stalled job keeps its place until it starts again
--   corral:<base>group:<g>:window  hash   since, used: the current window of its rate
-- And of all groups:
--   corral:<base>groups:ready      zset   the ring: groups whose turn may come, by turn
--   corral:<base>groups:limited    zset   groups whose rate is spent, by the time at which they open (ms)
--   corral:<base>groups:paused     set
--   corral:<base>groups:limits     hash   limits of single groups: JSON [concurrency, jobs, per_ms, max_size]
--   corral:<base>groups:all        set    groups with waiting or running jobs
--
-- What always holds: a group with parked jobs is in the ring, or in `limited`, or paused, or has running jobs
-- whose end puts it back. The ring may hold groups that are shut; a fetch drops them when their turn comes.
local function open_groups(defaults)
  local own = "corral:" .. base .. "group"
  local ring, limited, all = own .. "s:ready", own .. "s:limited", own .. "s:all"
  local paused_groups, own_limits = own .. "s:paused", own .. "s:limits"
  local parked = base .. "waiting-children"
  local ONE_AT_ONCE, BAND, MIDDLE = { 1, 0, 0, 0 }, 4294967296, 2147483648
  local known_limits, known_paused, admitted = {}, {}, {} -- nothing else changes them during a call
  local lined_up = {} -- groups that are in `all` and, unless paused, in the ring, for sure
  local last_turn
  local g = {}

  local function place(group, what)
    return own .. ":" .. group .. ":" .. what
  end

  local function limits_of(group)
    local limits = known_limits[group]
    if not limits then
      if string.sub(group, 1, 5) == "lock:" then
        limits = ONE_AT_ONCE
      else
        local text = call("HGET", own_limits, group)
        limits = text and cjson.decode(text) or defaults or { 0, 0, 0, 0 }
      end
      known_limits[group] = limits
    end
    return limits
  end

  local function is_paused(group)
    if known_paused[group] == nil then
      known_paused[group] = call("SISMEMBER", paused_groups, group) == 1
    end
    return known_paused[group]
  end

  -- Gives a group the last turn, unless it waits for one already.
  local function enrol(group)
    last_turn = (last_turn or tonumber(call("ZRANGE", ring, -1, -1, "WITHSCORES")[2]) or 0) + 1
    call("ZADD", ring, "NX", last_turn, group)
  end

  local function window_of(group)
    local window = call("HMGET", place(group, "window"), "since", "used")
    return tonumber(window[1]) or 0, tonumber(window[2]) or 0
  end

  -- 0: a job may start. -1: not before something happens. Else: ms until the group's window ends.
  local function shut(group, is_member)
    if is_paused(group) then
      return -1
    end
    local limits = limits_of(group)
    if limits[1] > 0 and call("SCARD", place(group, "active")) - (is_member and 1 or 0) >= limits[1] then
      return -1
    end
    if limits[2] > 0 and not is_member then -- a member's start has been counted
      local since, used = window_of(group)
      if used >= limits[2] and now < since + limits[3] then
        return since + limits[3] - now
      end
    end
    return 0
  end

  local function enter(group, id)
    call("SADD", place(group, "active"), id)
    local limits = limits_of(group)
    if limits[2] > 0 then
      local since, used = window_of(group)
      local key = place(group, "window")
      if now >= since + limits[3] then
        call("HSET", key, "since", string.format("%.0f", now), "used", 1)
        call("PEXPIRE", key, limits[3])
      else
        call("HSET", key, "used", used + 1)
      end
    end
  end

  local function forget_if_idle(group)
    if call("EXISTS", place(group, "jobs"), place(group, "active")) == 0 then
      call("SREM", all, group)
      lined_up[group] = nil
    end
  end

  -- The first job of a group that is still there: BullMQ's removeJob does not know the group's own zset.
  local function first_of(group)
    while true do
      local id = call("ZPOPMIN", place(group, "jobs"))[1]
      if not id then
        return nil
      end
      if call("HGET", base .. id, "corral:group") == group and call("ZREM", parked, id) == 1 then
        return id
      end
    end
  end

  function g.of(id)
    return call("HGET", base .. id, "corral:group")
  end

  function g.size(group)
    return call("ZCARD", place(group, "jobs"))
  end

  function g.max_size(group, default)
    local text = string.sub(group, 1, 5) ~= "lock:" and call("HGET", own_limits, group)
    return text and cjson.decode(text)[4] or default
  end

  -- Lets a job wait in its group, behind its equals or in front of them.
  function g.park(group, id, priority, in_front)
    local jobs = place(group, "jobs")
    local low, high = priority * BAND, priority * BAND + BAND - 1
    local score = low + MIDDLE
    if in_front then
      local first = call("ZRANGEBYSCORE", jobs, low, high, "WITHSCORES", "LIMIT", 0, 1)[2]
      score = first and math.max(tonumber(first) - 1, low) or score
    else
      local last = call("ZREVRANGEBYSCORE", jobs, high, low, "WITHSCORES", "LIMIT", 0, 1)[2]
      score = last and math.min(tonumber(last) + 1, high) or score
    end
    call("ZADD", jobs, score, id)
    call("ZADD", parked, -now, id)
    if not lined_up[group] then
      lined_up[group] = true
      call("SADD", all, group)
      if not is_paused(group) then
        enrol(group)
      end
    end
  end

  -- The same for a job of which only the id is known. False: it has no group, and waits elsewhere.
  function g.parks(id, priority, in_front)
    local group = g.of(id)
    if group then
      g.park(group, id, priority, in_front)
    end
    return group
  end

  -- May a job that came out of `wait` start? If it has a group without room, it is parked in front.
  function g.admits(id)
    local group = not admitted[id] and g.of(id)
    if not group then
      return true
    end
    local is_member = call("SISMEMBER", place(group, "active"), id) == 1
    if shut(group, is_member) == 0 then
      if not is_member then
        enter(group, id)
        call("SADD", all, group)
      end
      return true
    end
    call("SREM", place(group, "active"), id)
    g.park(group, id, tonumber(call("HGET", base .. id, "priority")) or 0, true)
    return false
  end

  -- Adds up to `count` jobs to `ids`, one a group in turn.
  function g.take(ids, count)
    local open = call("ZRANGEBYSCORE", limited, "-inf", now, "LIMIT", 0, 1000)
    for _, group in ipairs(open) do
      call("ZREM", limited, group)
      enrol(group)
    end
    while count > 0 do
      local group = call("ZPOPMIN", ring)[1]
      if not group then
        return
      end
      lined_up[group] = nil
      local wait_ms = shut(group)
      if wait_ms > 0 then
        call("ZADD", limited, now + wait_ms, group)
      elseif wait_ms == 0 then
        local id = first_of(group)
        if id then
          enter(group, id)
          admitted[id] = true
          ids[#ids + 1] = id
          count = count - 1
        end
        if g.size(group) > 0 then
          enrol(group)
        else
          forget_if_idle(group)
        end
      end
    end
  end

  -- A job ran to its end, or gave its slot back: its place is free. Returns whether others wait for it.
  function g.leave(id)
    local group = g.of(id)
    if not group or call("SREM", place(group, "active"), id) == 0 then
      return false
    end
    return g.wake(group)
  end

  -- Gives a group a turn if it has jobs and is not paused. Returns whether it did.
  function g.wake(group)
    if g.size(group) == 0 then
      forget_if_idle(group)
    elseif not is_paused(group) then
      enrol(group)
      return true
    end
    return false
  end

  -- Does a job wait here that the next fetch might take?
  function g.is_ready()
    return call("EXISTS", ring) == 1
  end

  function g.some_wait()
    return call("ZCOUNT", parked, "-inf", "(0") > 0
  end

  -- The earlier of a moment (or nil) and the one at which the first limited group opens.
  function g.earlier(moment)
    local opens = tonumber(call("ZRANGE", limited, 0, 0, "WITHSCORES")[2])
    return opens and math.min(opens, moment or opens) or moment, opens
  end

  -- Frees the places of jobs that no longer run. Returns whether others wait for one.
  function g.heal(group, running)
    local gone = false
    for _, id in ipairs(call("SMEMBERS", place(group, "active"))) do
      if not running[id] then
        call("SREM", place(group, "active"), id)
        gone = true
      end
    end
    local is_lost = call("EXISTS", place(group, "active")) == 0
      and not call("ZSCORE", ring, group) and not call("ZSCORE", limited, group)
    return (gone or is_lost) and g.wake(group)
  end

  return g
end
