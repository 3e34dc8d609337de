-- Takes or renews a lease. KEYS[1] the lease; ARGV[1] the holder, ARGV[2] for how long (ms).
-- A lease is 'h' and its holder, or 'd' and what was decided. Answers 1 when it is the asker's, 0 when it is another's,
-- or the decision.
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, 1) == 'd' then
  return string.sub(held, 2)
end
if held and held ~= 'h' .. ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], 'h' .. ARGV[1], 'PX', ARGV[2])
return 1
