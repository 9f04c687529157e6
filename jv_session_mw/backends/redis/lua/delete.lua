-- KEYS: hash, list, tombstone.
-- ARGV: a tag, the ttl in ms, and the version and birth of what may be deleted, in one string. A
--       version of 0 is whatever there is.
-- Answers {tag, 'existed'}, {tag, 'missing'}, or {tag, 'changed'}, which changes nothing.
-- The tombstone is what a request in flight meets when it comes to commit.
local tag, ttl, version, birth = string.match(ARGV[1], '^(%S+) (%d+) (%d+) (%S+)$')
local existed = redis.call('EXISTS', KEYS[1]) == 1
if existed and version ~= '0' then
  local meta = redis.call('HGET', KEYS[1], '@') or ''
  local stored_version, stored_birth = string.match(meta, '^%S+ (%d+) %d+ %d+ %d+ (%S+)')
  if stored_version ~= version or stored_birth ~= birth then return {tag, 'changed'} end
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], '1', 'PX', ttl)
return {tag, existed and 'existed' or 'missing'}
