-- KEYS: hash, list, tombstone.
-- ARGV: a head of words: a tag, the layout, where the window begins, counted from the end (0: all),
--       and if the caller has it already, its version, birth and total.
-- Answers {tag, 'found', ttl, total, version, created, birth, fields, messages}, {tag, 'missing'},
-- {tag, 'deleted'} or {tag, 'unreadable', meta}; writes nothing. Who has the messages already gets
-- {tag, 'same', ...}, and of them the first and the last one of the window.
local tag, layout, start, known = string.match(ARGV[1], '^(%S+) (%S+) (%S+) ?(.*)$')
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

local fields, meta = redis.call('HGETALL', KEYS[1]), ''
for at = 1, #fields, 2 do
  if fields[at] == '@' then
    table.remove(fields, at)
    meta = table.remove(fields, at)
    break
  end
end
-- The commits are for the next commit alone, and may be hundreds: the first shows that they are there.
local found, version, created, seq, dies, birth =
  string.match(meta, '^(%S+) (%d+) (%d+) (%d+) (%d+) ([%w_-]+) [%w_-]+=%d+,%d+,%d+')
local longest = found == layout and math.max(#version, #created, #seq, #dies) or 16
if longest > 15 then return {tag, 'unreadable', meta} end -- what a number of Lua holds exactly

local total, messages = redis.call('LLEN', KEYS[2]), nil
local is_known = version .. ' ' .. birth .. ' ' .. total == known
if is_known then
  local first = redis.call('LINDEX', KEYS[2], start) or redis.call('LINDEX', KEYS[2], 0)
  messages = {first, redis.call('LINDEX', KEYS[2], -1)}
else
  messages = redis.call('LRANGE', KEYS[2], start, -1)
end
return {tag, is_known and 'same' or 'found', redis.call('PTTL', KEYS[1]), total, tonumber(version),
        tonumber(created), birth, fields, messages}
