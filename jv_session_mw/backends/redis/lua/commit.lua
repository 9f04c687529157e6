-- KEYS: hash, list, tombstone, and of a commit with a fence the turn.
-- ARGV: a head of words, then five groups of values that it counts:
--       fields (name, value, base), removed (name, base), appended (value),
--       replaced (seq, value, base), dropped (seq).
-- Head: a tag, ttl ms, lifetime ms, max messages, '1' to reject conflicts, layout, commit id, base version,
--       birth or '-', '1' to revive, cleared up to, the five counts, and the fence if there is one.
-- A base is what a change rests on: '=' and the bytes themselves if they are few, else the first
--       digits of their SHA-1; '' for none.
-- The birth, the id of the commit that created it, tells a conversation from a later one.
-- Answers {tag, status, version, created, ttl, total, first seq, birth, conflicts ...}.
-- Everything that can fail is done before the first write: a script is not rolled back. Calls to the
-- server cost most, so all fields are asked for at once.
local hash, list, tombstone, turn = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local few_bytes, most_bytes = 1000, 8000 -- of the commits that are remembered
local part = 1000 -- as many values fit on Lua's stack

local tag, ttl, lifetime, most, reject, layout, commit, base, expected_birth, revive, cleared,
      fields, removed, appended, replaced, dropped, fence = string.match(
  ARGV[1],
  '^(%S+) (%d+) (%d+) (%d+) (%d) (%S+) (%S+) (%d+) (%S+) (%d) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ?(%d*)$'
)
ttl, lifetime, most, base = tonumber(ttl), tonumber(lifetime), tonumber(most), tonumber(base)
reject, revive, cleared = reject == '1', revive == '1', tonumber(cleared)
-- Where each group begins.
local fields_at = 2
local removed_at = fields_at + 3 * fields
local appended_at = removed_at + 2 * removed
local replaced_at = appended_at + appended
local dropped_at = replaced_at + 3 * replaced

local function in_parts(command, key, values)
  local answer
  for from = 1, #values, part do
    answer = redis.call(command, key, unpack(values, from, math.min(from + part - 1, #values)))
  end
  return answer
end

local function is_base(stored, expected)
  if not stored or expected == '' then return not stored and expected == '' end
  if string.sub(expected, 1, 1) == '=' then return stored == string.sub(expected, 2) end
  return string.sub(redis.sha1hex(stored), 1, 16) == expected
end

local function whole(digits)
  return digits and #digits <= 15 and tonumber(digits)
end

-- The commits are the meta field's rest, from some place on. It may be long, so it is not copied.
local function are_commits(text, from)
  if not string.find(text, '^ [%w_-]+=%d+,%d+,%d+', from) then return false end
  if #text - from >= few_bytes then -- checking each of them would cost more than all the rest
    return string.find(string.sub(text, -200), ' [%w_-]+=%d+,%d+,%d+$') ~= nil
  end
  return string.gsub(string.sub(text, from), ' [%w_-]+=%d+,%d+,%d+', '') == ''
end

local function split(element)
  local seq, value = string.match(element, '^(%d+):(.*)$')
  return whole(seq), value
end

-- Returns the place of the first message whose number is seq or higher, and its value if it is seq.
-- Numbers grow along the list but may have gaps, so the place is found by halving.
local function find(seq)
  local low, high = 0, redis.call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found, value = split(redis.call('LINDEX', list, middle))
    if found == seq then return middle, value end
    if not found then return nil end
    if found < seq then low = middle + 1 else high = middle end
  end
  return low
end

local stone = ''
if revive then
  stone = redis.call('GET', tombstone) or ''
  -- This commit was stored before the delete, and comes a second time.
  if string.find(stone, ' ' .. commit .. '=', 1, true) then return {tag, 'gone'} end
elseif redis.call('EXISTS', tombstone) == 1 then
  return {tag, 'gone'}
end

local names = {'@'}
for at = fields_at, removed_at - 1, 3 do names[#names + 1] = '.' .. ARGV[at] end
for at = removed_at, appended_at - 1, 2 do names[#names + 1] = '.' .. ARGV[at] end
-- Keys of another type fail here, which costs less than asking for the types each time.
local stored = redis.pcall('HMGET', hash, unpack(names, 1, math.min(part, #names)))
local total = redis.pcall('LLEN', list)
local failed = stored.err and stored or type(total) == 'table' and total
if failed then
  if not string.find(failed.err, 'WRONGTYPE', 1, true) then return failed end
  local types = redis.call('TYPE', hash).ok .. ' and ' .. redis.call('TYPE', list).ok
  return redis.error_reply('UNREADABLE the keys are of type ' .. types)
end
for from = part + 1, #names, part do
  local more = redis.call('HMGET', hash, unpack(names, from, math.min(from + part - 1, #names)))
  for at, value in ipairs(more) do stored[from + at - 1] = value end
end
local meta = stored[1] or ''
local is_new = meta == '' and redis.call('EXISTS', hash) == 0
if is_new and not revive and (base > 0 or total > 0) then
  return {tag, 'gone'}
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local version, created, seq, birth, commits = 0, now, 1, commit, 1
local dies = lifetime > 0 and now + lifetime or 0
if not is_new then
  local found
  found, version, created, seq, dies, birth, commits =
    string.match(meta, '^(%S+) (%d+) (%d+) (%d+) (%d+) ([%w_-]+)()')
  version, created, seq, dies = whole(version), whole(created), whole(seq), whole(dies)
  local complete = version and created and seq and dies and are_commits(meta, commits)
  if found ~= layout or not complete then
    return redis.error_reply('UNREADABLE the hash is not of layout ' .. layout)
  end
  if base > 0 and expected_birth ~= '-' and expected_birth ~= birth then return {tag, 'gone'} end
end
if dies > 0 then
  ttl = math.min(ttl, dies - now)
  if ttl <= 0 then return {tag, 'gone'} end
end

local _, done = string.find(meta, ' ' .. commit .. '=', commits, true)
if done then
  local was_version, was_first = string.match(meta, '^(%d+),(%d+)', done + 1)
  -- A write, so that a WAIT for replicas now covers what was written the first time too.
  redis.call('PEXPIRE', hash, ttl)
  redis.call('PEXPIRE', list, ttl)
  return {tag, 'committed', tonumber(was_version), created, ttl, total, tonumber(was_first), birth}
end

if turn then -- a later turn has begun: this one was cut off for longer than its lease
  local newest = string.match(redis.call('GET', turn) or '', '^%d+')
  if newest and tonumber(newest) > tonumber(fence) then return {tag, 'fenced'} end
end

local answer = {tag, 'committed', version + 1, created, ttl, 0, seq, birth}
local function compare(name, was, value, expected)
  if was ~= value and not is_base(was, expected) then
    answer[#answer + 1] = name
  end
end
local asked = 1
for at = fields_at, removed_at - 1, 3 do
  asked = asked + 1
  compare(ARGV[at], stored[asked], ARGV[at + 1], ARGV[at + 2])
end
for at = removed_at, appended_at - 1, 2 do
  asked = asked + 1
  compare(ARGV[at], stored[asked], false, ARGV[at + 1])
end
local places = {}
for at = replaced_at, dropped_at - 1, 3 do
  local place, was = find(tonumber(ARGV[at]))
  places[at] = was and place
  compare('messages#' .. ARGV[at], was or false, ARGV[at + 1], ARGV[at + 2])
end
if reject and #answer > 8 then
  answer[2], answer[3] = 'conflict', version
  return answer
end

if revive then redis.call('DEL', tombstone) end
if is_new and total > 0 then
  redis.call('DEL', list)
  total = 0
end
for at = removed_at, appended_at - 1, 2 do
  redis.call('HDEL', hash, '.' .. ARGV[at])
end
for at = replaced_at, dropped_at - 1, 3 do
  if places[at] then redis.call('LSET', list, places[at], ARGV[at] .. ':' .. ARGV[at + 1]) end
end
for at = dropped_at, #ARGV do
  local place, was = find(tonumber(ARGV[at]))
  if was then
    local mark = 'dropped by ' .. commit
    redis.call('LSET', list, place, mark)
    redis.call('LREM', list, 2 * place < total and 1 or -1, mark) -- from the end that is nearer
  end
end
if cleared > 0 and split(redis.call('LINDEX', list, 0) or '') then
  redis.call('LTRIM', list, find(cleared + 1) or 0, -1)
end
local elements = {}
for at = appended_at, replaced_at - 1 do
  elements[#elements + 1] = string.format('%.0f:', seq) .. ARGV[at]
  seq = seq + 1
end
total = in_parts('RPUSH', list, elements) or total
if most > 0 then redis.call('LTRIM', list, -most, -1) end
if most > 0 or cleared > 0 or dropped_at <= #ARGV then total = redis.call('LLEN', list) end

-- A commit without a reply is sent again within seconds, and hundreds of others may have come between.
-- So the last 8 are remembered in any case, and those of the last minute as far as there is room.
local age = math.max(0, math.floor((now - created) / 1000))
local this = string.format(' %s=%.0f,%.0f,%.0f', commit, answer[3], answer[7], age)
local deleted_by = string.match(stone, '^[em][%w_-]+')
if deleted_by then -- should that delete come a second time, it finds its id here
  this = string.format(' %s=0,0,%.0f', deleted_by, age) .. this
end
local function oldest_goes()
  local bytes = #meta - commits + 1 + #this
  if bytes > most_bytes then return true end
  if bytes <= few_bytes then
    local _, count = string.gsub(string.sub(meta, commits), '=', '=')
    if count < 8 then return false end
  end
  return tonumber(string.match(meta, '^ [^,]+,%d+,(%d+)', commits)) < age - 60
end
while oldest_goes() do commits = string.find(meta, ' ', commits + 1, true) or #meta + 1 end
local head = string.format('%s %.0f %.0f %.0f %.0f %s', layout, answer[3], created, seq, dies, birth)
local pairs_to_set = {'@', head .. string.sub(meta, commits) .. this}
for at = fields_at, removed_at - 1, 3 do
  pairs_to_set[#pairs_to_set + 1] = '.' .. ARGV[at]
  pairs_to_set[#pairs_to_set + 1] = ARGV[at + 1]
end
in_parts('HSET', hash, pairs_to_set)
redis.call('PEXPIRE', hash, ttl)
redis.call('PEXPIRE', list, ttl)
answer[6] = total
return answer
