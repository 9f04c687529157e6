-- KEYS: hash, list, tombstone.
-- ARGV: a head of words: a tag, the layout, where the window begins, counted from the end (0: all),
--       and if the caller has it already, its version, birth and total.
-- Answers {tag, 'found', ttl, total, version, created, birth, commit, first seq, fields, messages},
-- {tag, 'missing'}, {tag, 'deleted'} or {tag, 'unreadable', meta}; writes nothing. A caller that has the
-- messages already gets {tag, 'same', ...}, with only the first and the last message of the window.
local hash, list, tombstone = KEYS[1], KEYS[2], KEYS[3]
local tag, layout, start, known = string.match(ARGV[1], '^(%S+) (%S+) (%S+) ?(.*)$')
if redis.call('EXISTS', tombstone) == 1 then
  return {tag, 'deleted'}
end

-- Keys of another type fail here, which costs less than asking for the types each time.
local fields, total = redis.pcall('HGETALL', hash), redis.pcall('LLEN', list)
local failed = fields.err and fields or type(total) == 'table' and total
if failed then
  if not string.find(failed.err, 'WRONGTYPE', 1, true) then return failed end
  local types = redis.call('TYPE', hash).ok .. ' and ' .. redis.call('TYPE', list).ok
  return redis.error_reply('UNREADABLE the keys are of type ' .. types)
end
if #fields == 0 then
  -- The probe loads what nobody has, to see whether the user may do all that another load does.
  redis.call('LRANGE', list, 0, 0)
  redis.call('LINDEX', list, 0)
  redis.call('PTTL', hash)
  -- An evicting server may leave a log without its hash: no new conversation is to begin with that.
  return {tag, total == 0 and 'missing' or 'deleted'}
end

local meta = ''
for at = 1, #fields, 2 do
  if fields[at] == '@' then
    table.remove(fields, at)
    meta = table.remove(fields, at)
    break
  end
end
-- There may be hundreds of commits, which only a commit has to look through: here two are checked, the
-- first and the last.
local found, version, created, seq, dies, birth =
  string.match(meta, '^(%S+) (%d+) (%d+) (%d+) (%d+) ([%w_-]+) [%w_-]+=%d+,%d+,%d+')
local commit, first_seq = string.match(string.sub(meta, -200), ' ([%w_-]+)=%d+,(%d+),%d+$')
local is_ours = found == layout and commit
local longest = is_ours and math.max(#version, #created, #seq, #dies, #first_seq) or 16
if longest > 15 then return {tag, 'unreadable', meta} end -- Lua holds no more digits exactly

local status, messages = 'found', nil
if version .. ' ' .. birth .. ' ' .. total == known then
  local first = redis.call('LINDEX', list, start) or redis.call('LINDEX', list, 0)
  status, messages = 'same', {first, redis.call('LINDEX', list, -1)}
else
  messages = redis.call('LRANGE', list, start, -1)
end
return {tag, status, redis.call('PTTL', hash), total, tonumber(version), tonumber(created), birth,
        commit, tonumber(first_seq), fields, messages}
