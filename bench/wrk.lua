-- Sends DEPTH requests at once on every connection and reports the outcome as one line of JSON.
-- Usage: wrk ... --script wrk.lua URL -- DEPTH [METHOD BODY_FILE]

local batch

function init(arguments)
  local depth = tonumber(arguments[1] or "1")
  local method = arguments[2] or "GET"
  local body = arguments[3] and io.open(arguments[3]):read("*a") or ""
  local requests = {}
  for i = 1, depth do
    requests[i] = wrk.format(method, nil, nil, #body > 0 and body or nil)
  end
  batch = table.concat(requests)
end

function request()
  return batch
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\nsummary {"requests": %d, "microseconds": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, '
    .. '"latency_p50_us": %d, "latency_p99_us": %d, "latency_p999_us": %d}\n',
    summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
