-- Takes one call out of a budget. KEYS[1] the budget; ARGV[1] how many calls a window may hold, or 0 when only a pause
-- counts, ARGV[2] the window (ms), ARGV[3] a name for this call that no other has.
-- The budget is a sorted set of calls by when each ceases to count, and of `p`, a pause, by its end. Answers 0 when the
-- call is granted, else how many milliseconds to wait.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local free = tonumber(redis.call('ZSCORE', KEYS[1], 'p') or now)
local most = tonumber(ARGV[1])
if most > 0 then
  local over = redis.call('ZCARD', KEYS[1]) - most
  if free > now then
    over = over - 1
  end
  if over >= 0 then
    local next = redis.call('ZRANGE', KEYS[1], over, over, 'WITHSCORES')
    free = math.max(free, tonumber(next[2]))
  end
end
if free > now then
  return free - now
end
if most > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[3])
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
end
return 0
