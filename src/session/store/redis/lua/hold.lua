-- Takes, renews or inherits a lease. KEYS[1] the lease; ARGV[1] the holder (16 bytes), ARGV[2] for how long (ms), ARGV[3]
-- the sign of life after which there was none for too long, or nothing.
-- A lease is 'h', its holder and a count that goes up with each renewal, or 'd' and what was decided. Answers 1 when it
-- is the asker's, holder and count in a list when it is another's, or the decision.
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, 1) == 'd' then
  return string.sub(held, 2)
end
local count = 1
if held and string.sub(held, 2, 17) == ARGV[1] then
  count = (tonumber(string.sub(held, 18)) or 0) + 1
elseif held and string.sub(held, 2) ~= ARGV[3] then
  -- Says the same about its expiry again, because a server that takes no writes just now took no renewal either.
  redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), 1))
  return { string.sub(held, 2) }
end
redis.call('SET', KEYS[1], 'h' .. ARGV[1] .. string.format('%.0f', count), 'PX', ARGV[2])
return 1
