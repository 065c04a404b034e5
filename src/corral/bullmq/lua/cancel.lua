--[[
  Cancels a job, the first half: a job that runs is marked and its worker told; one that is finished, or that
  is none, is left alone. Whatever else comes past the end of this file is to be removed: BullMQ's own
  removeJob is put behind it (see cancel.py), so that both are one decision and one script.

  KEYS  1 the job  2 repeat  3 active  4 completed  5 failed
  ARGV  1 job id  2 "1": remove its children too (1 to 3 are what removeJob reads)  3 base
        4 mark, the value of the field corral:cancel  5 channel  6 message

  Returns -1 no such job, 2 running, 3 finished; from removeJob 1 removed, 0 it or a child is locked,
  -8 the next run of a scheduler
]]
do
  local call = redis.call
  local job, id = KEYS[1], ARGV[1]
  if call("TYPE", job).ok ~= "hash" or call("HEXISTS", job, "timestamp") == 0 then
    return -1
  end
  if call("ZSCORE", KEYS[4], id) or call("ZSCORE", KEYS[5], id) then
    return 3
  end
  if call("LPOS", KEYS[3], id) then
    call("HSET", job, "corral:cancel", ARGV[4])
    call("PUBLISH", ARGV[5], ARGV[6])
    return 2
  end
end

