-- KEYS: turn. ARGV: a head of words: a tag, the ttl in ms, who claims the turn, the fence it was given
--       or 0, and for how long it claims it, in ms; 0 gives it back.
-- Answers {tag, 1 or 0 for whose it is now, fence}. Fences grow, even past a record that was lost: each
-- is at least the server's time.
-- The record is "fence holder end": the last turn that began, and when its lease ends; 0: it was given
-- back. A claim that comes a second time, after that, finds its own name there and is refused.
local turn = KEYS[1]
local tag, ttl, claimant, fence, lasts = string.match(ARGV[1], '^(%S+) (%d+) (%S+) (%d+) (%d+)$')
ttl, fence, lasts = tonumber(ttl), tonumber(fence), tonumber(lasts)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local record = redis.call('GET', turn)
local newest, holder, ends = 0, nil, 0
if record then
  newest, holder, ends = string.match(record, '^(%d+) (%S+) (%d+)$')
  newest, ends = tonumber(newest), tonumber(ends)
  if not newest then return redis.error_reply('UNREADABLE the turn was written by another program') end
end

local function write(until_ms)
  local text = string.format('%.0f %s %.0f', newest, claimant, until_ms)
  redis.call('SET', turn, text, 'PX', string.format('%.0f', math.max(ttl, lasts)))
end

local is_claimants = holder == claimant
if lasts == 0 then
  if is_claimants then write(0) end
  return {tag, is_claimants and 1 or 0, fence}
end
if is_claimants then
  if ends == 0 then return {tag, 0, 0} end
elseif ends > now or fence > 0 and record then
  return {tag, 0, 0}
else
  newest = fence > 0 and fence or math.max(newest + 1, now)
end
write(now + lasts)
return {tag, 1, newest}
