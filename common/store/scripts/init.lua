#!lua
-- SPDX-License-Identifier: Apache-2.0
-- Creates the history, at revision 0 and empty, where there is nothing at all: a
-- head that is missing from among data is a loss to be looked into.
--
-- KEYS  1 head, 2.. what must not be there either
-- ARGV  1 format  2 epoch  3 change  4 digest of no model
-- Gives {'OK'} or {'CONFLICT'}.
if redis.call('EXISTS', unpack(KEYS)) > 0 then return {'CONFLICT'} end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'epoch', ARGV[2], 'parents', '', 'rev', '0',
    'change', ARGV[3], 'digest', ARGV[4], 'models', '0', 'logbytes', '0')
return {'OK'}
