-- Walks through the hosts, one request each; from lap to lap the address moves on by `step`.
-- Arguments: path, zone, prefix of the hosts, how many, first lap, step, the `updated` to expect.
-- The token comes by the environment: arguments are for everybody to see.
local path, zone, prefix, hosts, lap, step, marker
local token = os.getenv("BENCH_TOKEN")
local count = 0
good, wrong, sample = 0, 0, ""

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  path, zone, prefix = args[1], args[2], args[3]
  hosts, lap, step = tonumber(args[4]), tonumber(args[5]), tonumber(args[6])
  marker = '"updated":' .. args[7]
end

function request()
  local value = lap + step * math.floor(count / hosts)
  local name = prefix .. (count % hosts) .. "." .. zone
  local ip = string.format("10.%d.%d.%d", math.floor(value / 65536) % 256, math.floor(value / 256) % 256, value % 256)
  count = count + 1
  return "GET " .. path .. "?domain=" .. name .. "&ip=" .. ip .. " HTTP/1.1\r\nHost: " .. zone
    .. "\r\nAuthorization: Bearer " .. token .. "\r\n\r\n"
end

function response(status, _, body)
  if status == 200 and body:find('"success":true', 1, true) and body:find(marker, 1, true) then
    good = good + 1
  else
    wrong = wrong + 1
    sample = status .. " " .. body
  end
end

function done(summary, latency)
  local errors = summary.errors
  local thread = threads[1]
  io.write(string.format(
    "RESULT\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
    thread:get("good"), thread:get("wrong"), summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), thread:get("sample")
  ))
end
