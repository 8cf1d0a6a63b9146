// SPDX-License-Identifier: Apache-2.0
// cm-models under every attack on HTTP/2 that we know of. For each: the same workers live,
// none of them grows by 64 MiB, and an honest client beside it is always served.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as attacks from './support/attacks_h2.mjs';
import { Edge, LONG } from './support/edge.mjs';

let edge;
before(async () => { edge = await Edge.start(); }, { timeout: 180000 });
after(() => edge?.stop());

// 4,000 answers that wait are some 32 MiB, and nearly three times that with what AddressSanitizer
// puts around each piece; without their bound those of 500 connections would be 190.
const STALLED_MIB = 128;
const unknown = (n) => ({ path: '/v1/models', headers: [['authorization', `Bearer cm-nobody-${process.pid}-${n}`]] });
const ATTACKS = [
  ['the assertion burst', attacks.assertionBurst],
  ['a slow reader of small bodies', attacks.assertionSlowSmall],
  ['a slow reader of large bodies', attacks.assertionSlowLarge],
  ['windows up and down', attacks.windowSwings],
  ['HPACK bomb', attacks.hpackBomb],
  ['HPACK bomb of static fields', attacks.hpackBombStatic],
  ['cache-digest bomb', attacks.cacheDigestBomb],
  ['table size updates', attacks.tableSizeUpdates],
  ['broken header blocks', attacks.brokenBlocks],
  ['Rapid Reset 200,000', attacks.rapidReset],
  ['Rapid Reset with unknown keys', (target) => attacks.rapidReset(target, LONG ? 200000 : 50000, unknown)],
  ['Rapid Reset, unread', attacks.rapidResetUnread],
  ['MadeYouReset', attacks.madeYouReset],
  ['too many streams', attacks.tooManyStreams],
  ['CONTINUATION flood', attacks.continuationFlood],
  ['frame floods', attacks.frameFloods],
  ['PINGs, unread', attacks.pingUnread],
  ['SETTINGS, unread', attacks.settingsUnread],
  ['a flood into a closing connection', attacks.closingFlood],
  ['priority trees', attacks.priorityTrees],
  ['frames where they do not belong', attacks.oddFrames],
  ['bodies that never end', attacks.openBodies],
  ['heads of bodies that never end', attacks.openHeads],
];
for (const [name, attack] of ATTACKS) {
  test(`it survives: ${name}`, { timeout: 300000 }, async (t) => {
    await edge.survive(t, name, () => attack(edge.target()));
  });
}

test('it survives: stalled windows', { timeout: 300000 }, async (t) => {
  const result = await edge.survive(t, 'stalled windows', () => attacks.windowStall(edge.target(), { ms: 60000 }), { most: STALLED_MIB });
  const count = (list) => `${list.filter((one) => one.cut).length} of ${list.length}`;
  t.diagnostic(`figure stalled windows: cut ${count(result.filter((one) => !one.nagged))}, of those that nagged ${count(result.filter((one) => one.nagged))}`);
  assert.ok(result.every((one) => one.cut), 'who stalls was not cut');
});
