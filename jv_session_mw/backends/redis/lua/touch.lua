-- KEYS: hash, list. ARGV: ttl ms, layout.
-- Refreshes the TTL within the lifetime and answers it; 0 when nothing of ours is there.
local log = redis.call('TYPE', KEYS[2]).ok
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or (log ~= 'list' and log ~= 'none')
  or redis.call('HGET', KEYS[1], '@f') ~= ARGV[2] then
  return 0
end
local ttl, dies = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], '@x') or 'lost')
if not dies then return 0 end
if dies > 0 then
  local clock = redis.call('TIME')
  ttl = math.min(ttl, dies - clock[1] * 1000 - math.floor(clock[2] / 1000))
end
if ttl <= 0 then return 0 end
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
return ttl
