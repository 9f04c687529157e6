-- KEYS: hash, list, tombstone. ARGV: a tag, a sequence number and a count, in one string.
-- Answers {tag, messages}, with up to count messages before that sequence number, oldest first.
local tag, before, count = string.match(ARGV[1], '^(%S+) (%d+) (%d+)$')
before, count = tonumber(before), tonumber(count)
local low, high = 0, redis.call('LLEN', KEYS[2])
while low < high do
  local middle = math.floor((low + high) / 2)
  local digits = string.match(redis.call('LINDEX', KEYS[2], middle), '^(%d+):')
  local found = digits and #digits <= 15 and tonumber(digits)
  if not found then return redis.error_reply('UNREADABLE the log holds a foreign element') end
  if found < before then low = middle + 1 else high = middle end
end
if low == 0 then return {tag, {}} end
return {tag, redis.call('LRANGE', KEYS[2], math.max(0, low - count), low - 1)}
