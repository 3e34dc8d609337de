-- Files a session under an index. KEYS[1] the index; ARGV[1] the session's hash, ARGV[2] its absolute end in milliseconds.
-- What expired by the server's own clock goes out first, so an index is as large as the number of sessions it has;
-- the index itself ends with its longest session.
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local longest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', longest[2]))
return 1
