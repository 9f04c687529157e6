-- KEYS: hash, list, tombstone. ARGV: where the window begins, counted from the end (0: all).
-- Answers {'found', ttl, total, fields, messages}, {'missing'} or {'deleted'}; writes nothing.
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {'deleted'}
end
local hash = redis.call('TYPE', KEYS[1]).ok
local list = redis.call('TYPE', KEYS[2]).ok
if (hash ~= 'hash' and hash ~= 'none') or (list ~= 'list' and list ~= 'none') then
  return redis.error_reply('UNREADABLE the keys are of type ' .. hash .. ' and ' .. list)
end
if hash == 'none' then
  -- A log without its hash is what an evicting server leaves over: not to be joined by a new one.
  return list == 'none' and {'missing'} or {'deleted'}
end
return {
  'found',
  redis.call('PTTL', KEYS[1]),
  redis.call('LLEN', KEYS[2]),
  redis.call('HGETALL', KEYS[1]),
  redis.call('LRANGE', KEYS[2], ARGV[1], -1),
}
