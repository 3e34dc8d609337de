-- Gives a lease back. KEYS[1] the lease; ARGV[1] the holder, ARGV[2] for how long the decision ARGV[3] is told instead of
-- giving the lease to anybody (ms, 0 without a decision).
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, 17) ~= 'h' .. ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], 'd' .. ARGV[3], 'PX', ARGV[2])
end
return 1
