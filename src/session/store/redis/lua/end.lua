-- Ends a live session and keeps the reason. KEYS[1] the session; ARGV[1] the reason, ARGV[2] for how long at most (ms),
-- ARGV[3] the session's hash for those who listen, ARGV[4] the only version that is meant, or nothing for any.
-- Answers version and sealed record in a list when it ended now, 0 when another version stands there, the earlier
-- reason, or nothing when nothing is there.
local held = redis.call('HMGET', KEYS[1], 'v', 'e', 'd')
if held[2] then
  return held[2]
end
if not held[1] then
  return false
end
if ARGV[4] ~= '' and held[1] ~= ARGV[4] then
  return 0
end
-- Told first: who may not tell must not write, and nobody can look before the script has ended.
redis.call('PUBLISH', 'cloakroom:changes', ARGV[3] .. 'e')
local left = redis.call('PTTL', KEYS[1])
-- All of it goes, also what a newer release may have added.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', ARGV[1])
if left < 0 or left > tonumber(ARGV[2]) then
  left = ARGV[2]
end
redis.call('PEXPIRE', KEYS[1], left)
return { held[1], held[3] }
