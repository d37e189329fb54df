-- Many clients, each with a host and a token of its own, that ask now and then.
-- Arguments: path, zone, how many hosts, first lap, step (0: the address stays), milliseconds between requests.
-- The tokens come by the environment: it holds what each begins with, the host's number follows.
local path, zone, hosts, lap, step, pause
local token = os.getenv("BENCH_TOKEN")
local count = 0
good, wrong, sample = 0, 0, ""

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  path, zone, hosts = args[1], args[2], tonumber(args[3])
  lap, step, pause = tonumber(args[4]), tonumber(args[5]), tonumber(args[6])
  math.randomseed(lap + step)
end

function delay()
  return math.random(0, 2 * pause)
end

function request()
  local value, number = lap + step * math.floor(count / hosts), count % hosts
  local ip = string.format("10.%d.%d.%d", math.floor(value / 65536) % 256, math.floor(value / 256) % 256, value % 256)
  count = count + 1
  return "GET " .. path .. "?domain=h" .. number .. "." .. zone .. "&ip=" .. ip .. " HTTP/1.1\r\nHost: " .. zone
    .. "\r\nAuthorization: Bearer " .. token .. "-" .. number .. "\r\n\r\n"
end

function response(status, _, body)
  if status == 200 and body:find('"success":true', 1, true) then
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
    "RESULT\t%d\t%d\t%d\t%s\n", thread:get("good"), thread:get("wrong"),
    errors.connect + errors.read + errors.write + errors.timeout, thread:get("sample")
  ))
  for i = 1, #latency do
    local microseconds, times = latency(i)
    io.write(string.format("SEEN\t%d\t%d\n", microseconds, times))
  end
end
