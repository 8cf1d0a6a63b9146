// SPDX-License-Identifier: Apache-2.0
// cm-models under every attack on HTTP/2 that we know of. For each: the same workers live,
// none of them grows by 64 MiB, and an honest client beside it is always served.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HTTP2, STALLED_WINDOWS } from './support/attacks.mjs';
import { Edge } from './support/edge.mjs';

let edge;
before(async () => { edge = await Edge.start(); }, { timeout: 180000 });
after(() => edge?.stop());

// 4,000 answers that wait are some 32 MiB, and nearly three times that with what AddressSanitizer
// puts around each piece; without their bound those of 500 connections would be 190.
const STALLED_MIB = 128;
for (const [name, attack] of HTTP2) {
  test(`it survives: ${name}`, { timeout: 300000 }, async (t) => {
    await edge.survive(t, name, () => attack(edge.target()));
  });
}

test('it survives: stalled windows', { timeout: 300000 }, async (t) => {
  const [name, attack] = STALLED_WINDOWS;
  const result = await edge.survive(t, name, () => attack(edge.target()), { most: STALLED_MIB });
  const count = (list) => `${list.filter((one) => one.cut).length} of ${list.length}`;
  t.diagnostic(`figure stalled windows: cut ${count(result.filter((one) => !one.nagged))}, of those that nagged ${count(result.filter((one) => one.nagged))}`);
  assert.ok(result.every((one) => one.cut), 'who stalls was not cut');
});
