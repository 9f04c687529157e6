-- KEYS: hash, list, tombstone. ARGV: a tag and the ttl in ms, in one string. Answers {tag, existed}.
-- The tombstone is what a request in flight meets when it comes to commit.
local tag, ttl = string.match(ARGV[1], '^(%S+) (%d+)$')
local existed = redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], '1', 'PX', ttl)
return {tag, existed}
