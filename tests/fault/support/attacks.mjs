// SPDX-License-Identifier: Apache-2.0
// All attacks by name: what edge_*.test.mjs asserts of them, tests/bench/edge.sh measures.
// Each takes a target (see attacks_h2.mjs) and ends by itself.
import * as h1 from './attacks_h1.mjs';
import * as h2 from './attacks_h2.mjs';
import * as tls from './attacks_tls.mjs';
import { overTls } from './tls_tap.mjs';

export const LONG = process.env.CM_TEST_LONG === '1';
const unknown = (n) => ({ path: '/v1/models', headers: [['authorization', `Bearer cm-nobody-${process.pid}-${n}`]] });

export const HTTP2 = [
  ['the assertion burst', h2.assertionBurst],
  ['a slow reader of small bodies', h2.assertionSlowSmall],
  ['a slow reader of large bodies', h2.assertionSlowLarge],
  ['windows up and down', h2.windowSwings],
  ['HPACK bomb', h2.hpackBomb],
  ['HPACK bomb of static fields', h2.hpackBombStatic],
  ['cache-digest bomb', h2.cacheDigestBomb],
  ['table size updates', h2.tableSizeUpdates],
  ['broken header blocks', h2.brokenBlocks],
  ['Rapid Reset 200,000', h2.rapidReset],
  ['Rapid Reset with unknown keys', (target) => h2.rapidReset(target, LONG ? 200000 : 50000, unknown)],
  ['Rapid Reset, unread', h2.rapidResetUnread],
  ['MadeYouReset', h2.madeYouReset],
  ['too many streams', h2.tooManyStreams],
  ['CONTINUATION flood', h2.continuationFlood],
  ['frame floods', h2.frameFloods],
  ['PINGs, unread', h2.pingUnread],
  ['SETTINGS, unread', h2.settingsUnread],
  ['a flood into a closing connection', h2.closingFlood],
  ['priority trees', h2.priorityTrees],
  ['frames where they do not belong', h2.oddFrames],
  ['bodies that never end', h2.openBodies],
  ['heads of bodies that never end', h2.openHeads],
];

// These are over when the server has had enough; their results say who was cut.
export const STALLED_WINDOWS = ['stalled windows', (target) => h2.windowStall(target, { ms: 60000 })];
export const SLOW_CLIENTS = ['2,000 slow clients', (target) => h1.slowloris(target, { ms: 60000 })];
export const STALLED_READERS = ['readers that do not read', (target) => h1.stalledReaders(target, { ms: 60000 })];
export const PIPELINED = ['10,000 pipelined requests', (target) => h1.pipelined(target)];
export const HUGE_HEADS = ['huge heads', (target) => h1.hugeHeads(target)];

// Over TLS; `target` speaks it.
export const TLS = [
  ['a bad record after a request', tls.badRecordAfterRequest],
  ['a bad record during a write', tls.badRecordWhileWriting],
  ['bytes after close_notify', tls.afterCloseNotify],
  ['bytes after close_notify, HTTP/1.1', (target) => tls.afterCloseNotify(target, { alpn: 'http/1.1' })],
  ['handshakes that end anywhere', tls.brokenHandshakes],
  ['handshakes that never end', tls.slowHandshakes],
  ['readers that do not read', tls.stalledReaders],
  ['records of every size', tls.oddRecords],
  ['HTTP/2: the assertion burst', h2.assertionBurst],
  ['HTTP/2: a slow reader of large bodies', h2.assertionSlowLarge],
  ['HTTP/2: Rapid Reset', (target) => h2.rapidReset(target, 20000)],
  ['HTTP/2: frame floods', h2.frameFloods],
  ['HTTP/2: cache-digest bomb', async (target) => { await h2.cacheDigestBomb(target); }],
  ['HTTP/2: a flood into a closing connection', h2.closingFlood],
];

// Each with what it speaks; here the target's tlsPort is where TLS is spoken.
export const ALL = [
  ...[...HTTP2, STALLED_WINDOWS].map(([name, attack]) => [`HTTP/2: ${name}`, attack]),
  ...[SLOW_CLIENTS, STALLED_READERS, PIPELINED, HUGE_HEADS].map(([name, attack]) => [`HTTP/1.1: ${name}`, attack]),
  ...TLS.map(([name, attack]) => [`TLS: ${name}`, (target) => attack({ ...target, port: target.tlsPort, connect: overTls })]),
];
