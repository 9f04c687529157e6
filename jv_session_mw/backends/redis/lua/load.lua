-- KEYS: hash, list, tombstone.
-- ARGV: where the window begins, counted from the end (0: all), and what the caller has already:
--       its version (0: nothing), birth and total.
-- Answers {'found', ttl, total, fields, messages}, {'missing'} or {'deleted'}; writes nothing. Who has
-- the messages already gets {'same', ...}, and of them the first and the last one of the window.
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
local status, total = 'found', redis.call('LLEN', KEYS[2])
if ARGV[2] ~= '0' and tostring(total) == ARGV[4] then
  local meta = redis.call('HGET', KEYS[1], '@') or ''
  local version, birth = string.match(meta, '^%S+ (%d+) %d+ %d+ %d+ (%S+)')
  if version == ARGV[2] and birth == ARGV[3] then status = 'same' end
end
local messages
if status == 'same' then
  local first = redis.call('LINDEX', KEYS[2], ARGV[1]) or redis.call('LINDEX', KEYS[2], 0)
  messages = {first, redis.call('LINDEX', KEYS[2], -1)}
else
  messages = redis.call('LRANGE', KEYS[2], ARGV[1], -1)
end
return {status, redis.call('PTTL', KEYS[1]), total, redis.call('HGETALL', KEYS[1]), messages}
