-- KEYS: list. ARGV: sequence number, count.
-- Answers up to count messages before that sequence number, oldest first.
local before = tonumber(ARGV[1])
local low, high = 0, redis.call('LLEN', KEYS[1])
while low < high do
  local middle = math.floor((low + high) / 2)
  local digits = string.match(redis.call('LINDEX', KEYS[1], middle), '^(%d+):')
  local found = digits and #digits <= 15 and tonumber(digits)
  if not found then return redis.error_reply('UNREADABLE the log holds a foreign element') end
  if found < before then low = middle + 1 else high = middle end
end
if low == 0 then return {} end
return redis.call('LRANGE', KEYS[1], math.max(0, low - tonumber(ARGV[2])), low - 1)
