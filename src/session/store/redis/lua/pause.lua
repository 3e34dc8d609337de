-- Lets nothing be taken out of a budget for a while. KEYS[1] the budget; ARGV[1] for how long (ms). A longer pause stays.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ARGV[1]), 'p')
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
return 1
