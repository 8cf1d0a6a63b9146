#!lua
-- SPDX-License-Identifier: Apache-2.0
-- One revision, all or nothing: everything that can refuse comes before the first
-- write, because Redis takes nothing back. The log entry is that first write: it
-- refuses a revision that went backwards. (Where an operator's content takes the
-- place of everything, what is there goes first, and the log with it.)
--
-- KEYS  1 head  2 log  3 audit  4 outcome of the idempotent request (the head
--       where there is none)  5.. one per row
-- ARGV  1 epoch  2 revision  3 change: the head that the plan was made from
--       4 new revision  5 new change  6 new digest  7 new number of models
--       8 operations for the log, one a line  9 audit entry, '' = none
--       10 outcome, '' = not an idempotent request  11 seconds to keep it
--       12 bell channel  13 bell  14 log entries to keep  15 log bytes to keep
--       16 format  17 epoch  18 parents of a history that begins here, '' = the
--       head's goes on  19 keys to take away first  20 patterns of such keys
--       (both blank-separated; a key that is denied keeps its denial)
--       21.. rows: command, number of arguments after the key, these
-- The head of a plan that found none, or not all of it, is '' where it was missing.
-- Gives {'OK'}, {'CONFLICT'} or {'REPLAY', outcome}.
local head, log, audit, idem = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local revision, ops, bell = ARGV[4], ARGV[8], ARGV[12]
local has_audit, is_idempotent = ARGV[9] ~= '', ARGV[10] ~= ''
local begins, wipes = ARGV[17] ~= '', ARGV[19] ~= ''
local FIRST_KEY, FIRST_ARG, TRIM_MAX, ENTRY_OVERHEAD = 5, 21, 16, 64
local PART_BYTES = 7 * 1024
local DENIED = '"state":"revoked"'
local entry = revision .. '-0'

if is_idempotent then
    local outcome = redis.call('GET', idem)
    if outcome then return {'REPLAY', outcome} end
end
local found = {}
if not wipes or redis.call('TYPE', head).ok == 'hash' then
    found = redis.call('HMGET', head, 'epoch', 'rev', 'change', 'logbytes', 'logparts')
end
for i = 1, 3 do
    if (found[i] or '') ~= ARGV[i] then return {'CONFLICT'} end
end

-- May this user do all of it? Asked once per command.
local allowed = {}
local function is_allowed(command, ...)
    if not allowed[command] then allowed[command] = redis.acl_check_cmd(command, ...) end
    return allowed[command]
end
for _, words in ipairs({
    {'XLEN', log}, {'XRANGE', log, '-', '+'}, {'XDEL', log, entry}, {'XADD', audit, entry, 'e', ''},
    {'SET', idem, ''}, {'HSET', head, 'rev', ''}, {'PUBLISH', bell, ''},
    wipes and {'DEL', head} or nil, wipes and {'SCAN', '0'} or nil,
}) do
    if not is_allowed(unpack(words)) then
        return redis.error_reply('NOPERM this user may not ' .. words[1])
    end
end

-- Is everything of the type that its row needs? (What is taken away first is.)
local needs = {
    HSET = 'hash', HDEL = 'hash', SADD = 'set', SREM = 'set',
    ZADD = 'zset', ZREM = 'zset', ZREMRANGEBYSCORE = 'zset', SET = 'any',
}
local fits = {}
local at = FIRST_ARG
for i = FIRST_KEY, #KEYS do
    local command, key, count = ARGV[at], KEYS[i], tonumber(ARGV[at + 1])
    if not is_allowed(command, key, unpack(ARGV, at + 2, at + 1 + count)) then
        return redis.error_reply('NOPERM this user may not ' .. command)
    end
    local kind = needs[command]
    if not wipes and kind ~= 'any' and fits[key] ~= kind then
        local is = redis.call('TYPE', key).ok
        if is ~= 'none' and is ~= kind then
            return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. is .. ', not a ' .. kind)
        end
        fits[key] = kind
    end
    at = at + 2 + count
end
local has_trail = not wipes or redis.call('TYPE', audit).ok == 'stream'
if has_audit and has_trail then
    local ahead = redis.call('XRANGE', audit, entry, '+', 'COUNT', 1)[1]
    if ahead then
        return redis.error_reply('ERR the audit trail is ahead of the head, at ' .. ahead[1])
    end
end

local function take_away(key)
    local is = redis.call('TYPE', key).ok
    local denied = is == 'string' and string.find(redis.call('GET', key), DENIED, 1, true)
    if not denied then redis.call('DEL', key) end
end
for key in string.gmatch(ARGV[19], '%S+') do redis.call('DEL', key) end
for pattern in string.gmatch(ARGV[20], '%S+') do
    local cursor = '0'
    repeat
        local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000)
        cursor = page[1]
        for _, key in ipairs(page[2]) do take_away(key) end
    until cursor == '0'
end
if not has_trail then redis.call('DEL', audit) end

-- A large revision is several entries, which workers read some at a time: 'm' says that
-- another one follows. They are cut behind the operation that fills them, and then are
-- about what a worker takes in a turn (FEED_SLICE_BYTES).
local parts, begin = 0, 1
repeat
    local stop = string.find(ops, '\n', begin + PART_BYTES, true) or #ops
    redis.call('XADD', log, revision .. '-' .. parts, 'c', ARGV[5], 'p', ARGV[3],
        stop < #ops and 'm' or 'o', string.sub(ops, begin, stop))
    parts, begin = parts + 1, stop + 1
until begin > #ops
at = FIRST_ARG
for i = FIRST_KEY, #KEYS do
    local count = tonumber(ARGV[at + 1])
    redis.call(ARGV[at], KEYS[i], unpack(ARGV, at + 2, at + 1 + count))
    at = at + 2 + count
end
if has_audit then redis.call('XADD', audit, 'MAXLEN', '~', ARGV[14], entry, 'e', ARGV[9]) end
if is_idempotent then redis.call('SET', idem, ARGV[10], 'EX', ARGV[11]) end

-- The log keeps to both bounds, and always its newest revision. Only so many go in
-- one write: a bound that was made much smaller is reached in steps.
local function counted(i) return not wipes and tonumber(found[i]) or 0 end
local bytes = counted(4) + #ops + parts * ENTRY_OVERHEAD
local further = counted(5) + parts - 1 -- entries that are not the first of their revision
local length = redis.call('XLEN', log)
for _ = 1, TRIM_MAX do
    if length - further <= tonumber(ARGV[14]) and bytes <= tonumber(ARGV[15]) then break end
    local oldest = string.match(redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1][1], '^%d+')
    if oldest == revision then break end
    for i, part in ipairs(redis.call('XRANGE', log, oldest, oldest)) do
        bytes = bytes - #(part[2][6] or '') - ENTRY_OVERHEAD
        further = further - (i > 1 and 1 or 0)
        redis.call('XDEL', log, part[1])
        length = length - 1
    end
end
if begins then
    redis.call('HSET', head, 'format', ARGV[16], 'epoch', ARGV[17], 'parents', ARGV[18])
end
redis.call('HSET', head, 'rev', revision, 'change', ARGV[5], 'digest', ARGV[6],
    'models', ARGV[7], 'logbytes', string.format('%.0f', math.max(bytes, 0)),
    'logparts', math.max(further, 0))
redis.call('PUBLISH', bell, ARGV[13])
return {'OK'}
