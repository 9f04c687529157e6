-- KEYS: hash, list, tombstone. ARGV: a tag, the ttl in ms and the layout, in one string.
-- Refreshes the TTL within the lifetime and answers {tag, ttl}; 0 when nothing of ours is there.
local tag, ttl, expected = string.match(ARGV[1], '^(%S+) (%d+) (%S+)$')
ttl = tonumber(ttl)
local log = redis.call('TYPE', KEYS[2]).ok
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or (log ~= 'list' and log ~= 'none') then
  return {tag, 0}
end
local meta = redis.call('HGET', KEYS[1], '@') or ''
local layout, dies = string.match(meta, '^(%S+) %d+ %d+ %d+ (%d+) ')
if layout ~= expected then return {tag, 0} end
dies = tonumber(dies)
if dies > 0 then
  local clock = redis.call('TIME')
  ttl = math.min(ttl, dies - clock[1] * 1000 - math.floor(clock[2] / 1000))
end
if ttl <= 0 then return {tag, 0} end
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
return {tag, ttl}
