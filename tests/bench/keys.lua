-- For wrk: each request brings another of the keys that fill.mjs made.
--   wrk -s keys.lua URL -- PATH FIRST COUNT [PAUSE_MS]
-- Goes round through COUNT keys from FIRST on; each connection pauses so long
-- before a request.
local path, first, count, pause, at

function init(args)
  path, first, count = args[1], tonumber(args[2]), tonumber(args[3])
  pause = tonumber(args[4] or "0")
  at = 0
end

function delay()
  return pause
end

function request()
  local key = "cm-bench-" .. (first + at % count)
  at = at + 1
  return wrk.format("GET", path, { authorization = "Bearer " .. key })
end
