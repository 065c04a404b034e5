"""BullMQ's scripts that end a job, with the hooks of that end added in the same call.

The official text runs as it is, as a function inside ours: what it did and what is told of it are one
decision, so neither is lost nor invented.
"""

from __future__ import annotations

from functools import cache

import msgspec

from corral.bullmq.scripts import Script, official, ours
from corral.hooks import DELIVERY_OPTIONS, QUEUE, HookRules, failed_tail, of_queue

_pack = msgspec.msgpack.Encoder().encode

#: A job is removed instead of run: its own hook is read where it is, as a waiting job's options are in Redis.
_REMOVED = """
local own = redis.pcall("HMGET", KEYS[1], "opts", "name", "atm")
local answer = ended()
if answer == 1 then
  local base, opts, urls, queue, tail = unpack(cmsgpack.unpack(ARGV[7]))
  local readable, options = pcall(cjson.decode, own[1] or "")
  local hook = readable and type(options) == "table" and options.webhook
  if type(hook) == "string" then
    hook = { url = hook }
  end
  if type(hook) == "table" and type(hook.url) == "string" then
    local wanted = type(hook.events) ~= "table"
    for _, event in ipairs(wanted and {} or hook.events) do
      wanted = wanted or event == "failed"
    end
    if wanted then
      table.insert(urls, 1, hook.url)
    end
  end
  local heads, seen = {}, {}
  for _, url in ipairs(base == "" and {} or urls) do
    if not seen[url] then
      seen[url] = true
      heads[#heads + 1] = '{"url":' .. cjson.encode(url) .. queue
    end
  end
  if #heads > 0 then
    local time = call("TIME")
    local at = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
    local middle = ',"id":' .. cjson.encode(ARGV[1]) .. ',"name":' .. cjson.encode(own[2] or "")
      .. ',"attemptsMade":' .. string.format("%.0f", tonumber(own[3]) or 0)
    pcall(add_hooks, { base, opts, heads, middle, tail }, at)
  end
end
return answer
"""

#: ARGV[2] is the moment; what is told comes behind BullMQ's own arguments.
_FINISHED = """
local answer = ended()
if answer == 0 and not pcall(add_hooks, cmsgpack.unpack(ARGV[#ARGV]), ARGV[2]) then
  return 2
end
return answer
"""


def _around(source: str, then: str) -> str:
    hooks = ours("hooks").source
    return f"local call = redis.call\n{hooks}\nlocal function ended()\n{source}\nend\n{then}"


@cache
def finish_and_tell() -> Script:
    """moveToFinished, and behind its arguments the hooks (msgpack). 2: they could not be added."""
    return Script("finish_and_tell", _around(official("moveToFinished").source, _FINISHED))


@cache
def cancel_and_tell() -> Script:
    """cancel.lua and removeJob, and what `removal` made as the seventh argument."""
    source = f"{ours('cancel').source}\n{official('removeJob').source}"
    return Script("cancel_and_tell", _around(source, _REMOVED))


def removal(rules: HookRules, reason: str) -> bytes:
    """What the script that removes a job needs to tell of it. An empty base: nothing is told."""
    base = "" if rules.queue == QUEUE else rules.base
    urls = [hook.url for hook in rules.standing if "failed" in hook.events]
    return _pack((base, DELIVERY_OPTIONS, urls, of_queue(rules.queue), failed_tail(reason)))
