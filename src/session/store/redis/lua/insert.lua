-- A new session. KEYS[1] the session; ARGV[1] the sealed record, ARGV[2] its absolute end in milliseconds.
-- A tombstone is a key too, so an ended session cannot be written again.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'v', '1', 'd', ARGV[1], 'x', ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
