-- wrk's side of the `http` scenario: posts the body with the key, and says the findings in one line.
-- wrk … -s http_load.lua URL -- KEY BODY
local failed = 0

function init(args)
  wrk.method = "POST"
  wrk.body = args[2]
  wrk.headers["authorization"] = "Bearer " .. args[1]
  wrk.headers["content-type"] = "application/json"
end

function done(summary, latency)
  local errors = summary.errors
  failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("bench requests=%d errors=%d us=%d p50_us=%d p99_us=%d\n",
    summary.requests, failed, summary.duration, latency:percentile(50), latency:percentile(99)))
end
