-- KEYS: hash, list, tombstone.
-- ARGV: a head of words, then five groups of values that it counts:
--       fields (name, value, base), removed (name, base), appended (value),
--       replaced (seq, value, base), dropped (seq).
-- Head: a tag, ttl ms, lifetime ms, max messages, '1' to reject conflicts, layout, commit id, base version,
--       birth or '-', '1' to revive, cleared up to, and the five counts.
-- A base is what a change rests on: '=' and the bytes themselves if they are few, else the first
--       digits of their SHA-1; '' for none.
-- The birth, the id of the commit that created it, tells a conversation from a later one.
-- Answers {tag, status, version, created, ttl, total, first seq, birth, conflicts ...}.
-- Everything that can fail is done before the first write: a script is not rolled back.
local hash, list, tombstone = KEYS[1], KEYS[2], KEYS[3]
local few_bytes, most_bytes = 1000, 8000 -- of the commits that are remembered
local head = {}
for word in string.gmatch(ARGV[1], '%S+') do head[#head + 1] = word end
local at = 1

local function next_group(count, width)
  local group = {}
  for item = 1, tonumber(count) do
    local row = {}
    for column = 1, width do
      row[column] = ARGV[at + column]
    end
    at = at + width
    group[item] = row
  end
  return group
end

local function is_base(stored, base)
  if not stored or base == '' then return not stored and base == '' end
  if string.sub(base, 1, 1) == '=' then return stored == string.sub(base, 2) end
  return string.sub(redis.sha1hex(stored), 1, 16) == base
end

local function whole(digits)
  return digits and #digits <= 15 and tonumber(digits)
end

local function are_commits(text)
  if not string.find(text, '^ [%w_-]+=%d+,%d+,%d+') then return false end
  if #text > few_bytes then return not string.find(text, '[^%w_=, -]') end
  for done in string.gmatch(text, '%S+') do
    if not string.find(done, '^[%w_-]+=%d+,%d+,%d+$') then return false end
  end
  return true
end

local function split(element)
  local seq, value = string.match(element, '^(%d+):(.*)$')
  return whole(seq), value
end

-- Sequence numbers grow along the list but may have gaps, so the place is found by halving.
local function find(seq)
  local low, high = 0, redis.call('LLEN', list) - 1
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local found, value = split(redis.call('LINDEX', list, middle))
    if found == seq then return middle, value end
    if not found then return nil end
    if found < seq then low = middle + 1 else high = middle - 1 end
  end
end

local tag, ttl, lifetime, most = head[1], tonumber(head[2]), tonumber(head[3]), tonumber(head[4])
local reject, layout, commit, base = head[5] == '1', head[6], head[7], tonumber(head[8])
local expected_birth, revive, cleared = head[9], head[10] == '1', tonumber(head[11])
local fields, removed = next_group(head[12], 3), next_group(head[13], 2)
local appended, replaced = next_group(head[14], 1), next_group(head[15], 3)
local dropped = next_group(head[16], 1)

if not revive and redis.call('EXISTS', tombstone) == 1 then
  return {tag, 'gone'}
end
local kind, log = redis.call('TYPE', hash).ok, redis.call('TYPE', list).ok
if (kind ~= 'hash' and kind ~= 'none') or (log ~= 'list' and log ~= 'none') then
  return redis.error_reply('UNREADABLE the keys are of type ' .. kind .. ' and ' .. log)
end
if kind == 'none' and not revive and (base > 0 or log ~= 'none') then
  return {tag, 'gone'}
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local version, created, seq, commits, birth = 0, now, 1, '', commit
local dies = lifetime > 0 and now + lifetime or 0
if kind == 'hash' then
  local meta, found = redis.call('HGET', hash, '@') or '', nil
  found, version, created, seq, dies, birth, commits =
    string.match(meta, '^(%S+) (%d+) (%d+) (%d+) (%d+) ([%w_-]+)(.*)$')
  version, created, seq, dies = whole(version), whole(created), whole(seq), whole(dies)
  local complete = version and created and seq and dies and are_commits(commits)
  if found ~= layout or not complete then
    return redis.error_reply('UNREADABLE the hash is not of layout ' .. layout)
  end
  if base > 0 and expected_birth ~= '-' and expected_birth ~= birth then return {tag, 'gone'} end
end
if dies > 0 then
  ttl = math.min(ttl, dies - now)
  if ttl <= 0 then return {tag, 'gone'} end
end

local _, done = string.find(commits, ' ' .. commit .. '=', 1, true)
if done then
  local was_version, was_first = string.match(commits, '^(%d+),(%d+)', done + 1)
  -- A write, so that who waits for replicas now waits for those of the first time too.
  redis.call('PEXPIRE', hash, ttl)
  redis.call('PEXPIRE', list, ttl)
  return {tag, 'committed', tonumber(was_version), created, ttl, redis.call('LLEN', list),
          tonumber(was_first), birth}
end

local answer = {tag, 'committed', version + 1, created, ttl, 0, seq, birth}
local function compare(name, stored, value, expected)
  if stored ~= value and not is_base(stored, expected) then
    answer[#answer + 1] = name
  end
end
for _, field in ipairs(fields) do
  compare(field[1], redis.call('HGET', hash, '.' .. field[1]), field[2], field[3])
end
for _, field in ipairs(removed) do
  compare(field[1], redis.call('HGET', hash, '.' .. field[1]), false, field[2])
end
for _, message in ipairs(replaced) do
  local place, stored = find(tonumber(message[1]))
  message.place = place
  compare('messages#' .. message[1], stored or false, message[2], message[3])
end
if reject and #answer > 8 then
  answer[2], answer[3] = 'conflict', version
  return answer
end

if revive then redis.call('DEL', tombstone) end
if kind == 'none' and log ~= 'none' then redis.call('DEL', list) end
for _, field in ipairs(removed) do
  redis.call('HDEL', hash, '.' .. field[1])
end
for _, message in ipairs(replaced) do
  if message.place then
    redis.call('LSET', list, message.place, message[1] .. ':' .. message[2])
  end
end
for _, message in ipairs(dropped) do
  local place = find(tonumber(message[1]))
  if place then
    local mark = 'dropped by ' .. commit
    redis.call('LSET', list, place, mark)
    redis.call('LREM', list, 1, mark)
  end
end
if cleared > 0 then
  local first = split(redis.call('LINDEX', list, 0) or '')
  while first and first <= cleared do
    redis.call('LPOP', list)
    first = split(redis.call('LINDEX', list, 0) or '')
  end
end
for _, message in ipairs(appended) do
  redis.call('RPUSH', list, seq .. ':' .. message[1])
  seq = seq + 1
end
if most > 0 then redis.call('LTRIM', list, -most, -1) end

-- A commit is asked again within seconds, and hundreds of others may have come between: the last 8 are
-- remembered in any case, and those of the last minute too, as many as there is room for.
local age = math.max(0, math.floor((now - created) / 1000))
commits = string.format('%s %s=%.0f,%.0f,%.0f', commits, commit, answer[3], answer[7], age)
local function are_more_than_8()
  if #commits > few_bytes then return true end
  local _, count = string.gsub(commits, '=', '=')
  return count > 8
end
local function oldest_goes()
  if #commits > most_bytes then return true end
  return are_more_than_8() and tonumber(string.match(commits, '^ [^,]+,%d+,(%d+)')) < age - 60
end
while oldest_goes() do commits = string.sub(commits, (string.find(commits, ' ', 2, true))) end
local meta = string.format('%s %.0f %.0f %.0f %.0f %s', layout, answer[3], created, seq, dies, birth)
redis.call('HSET', hash, '@', meta .. commits)
for _, field in ipairs(fields) do
  redis.call('HSET', hash, '.' .. field[1], field[2])
end
redis.call('PEXPIRE', hash, ttl)
redis.call('PEXPIRE', list, ttl)
answer[6] = redis.call('LLEN', list)
return answer
