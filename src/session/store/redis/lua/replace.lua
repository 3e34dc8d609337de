-- Compare-and-set. KEYS[1] the session; ARGV[1] the version that was read, ARGV[2] the next one, ARGV[3] the sealed record,
-- ARGV[4] the session's hash for those who listen.
-- Versions are compared as text: Lua's numbers are doubles. HSET leaves the key's expiry as it is.
-- Answers 1 done, 0 conflict, the reason of the end, or nothing when nothing is there.
local held = redis.call('HMGET', KEYS[1], 'v', 'e')
if held[2] then
  return held[2]
end
if not held[1] then
  return false
end
if held[1] ~= ARGV[1] then
  return 0
end
-- Told first: who may not tell must not write, and nobody can look before the script has ended.
redis.call('PUBLISH', 'cloakroom:changes', ARGV[4] .. 'w' .. ARGV[2])
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'd', ARGV[3])
return 1
