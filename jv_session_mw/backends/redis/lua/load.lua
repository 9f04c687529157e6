-- KEYS: hash, list, tombstone.
-- ARGV: a head of words: a tag, where the window begins, counted from the end (0: all), and if the
--       caller has it already, its version, birth and total.
-- Answers {tag, 'found', ttl, total, fields, messages}, {tag, 'missing'} or {tag, 'deleted'}; writes
-- nothing. In the meta field '...' stands for the commits. Who has the messages already gets {tag, 'same', ...}, and of them the first and the last
-- one of the window.
local tag, start, known = string.match(ARGV[1], '^(%S+) (%S+) ?(.*)$')
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {tag, 'deleted'}
end
local hash = redis.call('TYPE', KEYS[1]).ok
local list = redis.call('TYPE', KEYS[2]).ok
if (hash ~= 'hash' and hash ~= 'none') or (list ~= 'list' and list ~= 'none') then
  return redis.error_reply('UNREADABLE the keys are of type ' .. hash .. ' and ' .. list)
end
if hash == 'none' then
  -- A log without its hash is what an evicting server leaves over: not to be joined by a new one.
  return {tag, list == 'none' and 'missing' or 'deleted'}
end
local status, total, fields = 'found', redis.call('LLEN', KEYS[2]), redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  if fields[at] == '@' then
    -- The commits are for the next commit alone, and may be hundreds.
    local head, version, birth = string.match(
      fields[at + 1], '^(%S+ (%d+) %d+ %d+ %d+ ([%w_-]+)) [%w_-]+=%d+,%d+,%d+')
    fields[at + 1] = head and head .. ' ...' or fields[at + 1]
    if head and version .. ' ' .. birth .. ' ' .. total == known then status = 'same' end
    break
  end
end
local messages
if status == 'same' then
  local first = redis.call('LINDEX', KEYS[2], start) or redis.call('LINDEX', KEYS[2], 0)
  messages = {first, redis.call('LINDEX', KEYS[2], -1)}
else
  messages = redis.call('LRANGE', KEYS[2], start, -1)
end
return {tag, status, redis.call('PTTL', KEYS[1]), total, fields, messages}
