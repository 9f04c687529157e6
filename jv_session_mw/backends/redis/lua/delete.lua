-- KEYS: hash, list, tombstone.
-- ARGV: a tag, the ttl in ms, the version and birth of what may be deleted, and the id of this delete,
--       in one string. A version of 0 is whatever there is.
-- Answers {tag, 'existed'}, {tag, 'missing'}, or {tag, 'changed'} if nothing was deleted.
-- The tombstone keeps a request in flight from storing it again. It holds the id of the delete, after an
-- 'e' or 'm' for what was answered, and the last commits of what was deleted. They show that a delete or
-- a commit comes a second time, even if it comes late.
local hash, list, tombstone = KEYS[1], KEYS[2], KEYS[3]
local tag, ttl, version, birth, id =
  string.match(ARGV[1], '^(%S+) (%d+) (%d+) (%S+) (%S+)$')
local few_bytes = 200 -- the last four commits, or more

local existed = redis.call('EXISTS', hash) == 1
local stone, meta = redis.pcall('GET', tombstone), existed and redis.pcall('HGET', hash, '@')
if type(stone) ~= 'string' then stone = '' end
if type(meta) ~= 'string' then meta = '' end
for _, answered in ipairs({'existed', 'missing'}) do
  local mark = string.sub(answered, 1, 1) .. id
  local is_revived = string.find(meta, ' ' .. mark .. '=', 1, true)
  if is_revived or string.sub(stone, 1, #mark) == mark then
    -- A write, so that a WAIT for replicas now covers what was written the first time too.
    local key = is_revived and hash or tombstone
    redis.call('PEXPIRE', key, redis.call('PTTL', key))
    return {tag, answered}
  end
end

if existed and version ~= '0' then
  local stored_version, stored_birth = string.match(meta, '^%S+ (%d+) %d+ %d+ %d+ (%S+)')
  if stored_version ~= version or stored_birth ~= birth then return {tag, 'changed'} end
end
local answer = existed and 'existed' or 'missing'
redis.call('DEL', hash, list)
local mark = string.sub(answer, 1, 1) .. id .. ' '
redis.call('SET', tombstone, mark .. string.sub(meta, -few_bytes), 'PX', ttl)
return {tag, answer}
