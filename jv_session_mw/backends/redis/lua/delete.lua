-- KEYS: hash, list, tombstone. ARGV: ttl ms.
-- The tombstone is what a request in flight meets when it comes to commit.
local existed = redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return existed
