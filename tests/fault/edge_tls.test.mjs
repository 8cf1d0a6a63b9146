// SPDX-License-Identifier: Apache-2.0
// cm-models under attack over TLS: what TLS itself adds, and those attacks on HTTP/2 again
// that depend on how bytes arrive and leave.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as h2 from './support/attacks_h2.mjs';
import * as attacks from './support/attacks_tls.mjs';
import { Edge } from './support/edge.mjs';
import { overTls } from './support/tls_tap.mjs';

let edge;
before(async () => { edge = await Edge.start({ tls: true }); }, { timeout: 180000 });
after(() => edge?.stop());
const target = () => edge.target({ port: edge.tlsPort, connect: overTls });

const ATTACKS = [
  ['a bad record after a request', attacks.badRecordAfterRequest],
  ['a bad record during a write', attacks.badRecordWhileWriting],
  ['bytes after close_notify', attacks.afterCloseNotify],
  ['bytes after close_notify, HTTP/1.1', (to) => attacks.afterCloseNotify(to, { alpn: 'http/1.1' })],
  ['handshakes that end anywhere', attacks.brokenHandshakes],
  ['handshakes that never end', attacks.slowHandshakes],
  ['readers that do not read', attacks.stalledReaders],
  ['records of every size', attacks.oddRecords],
  ['HTTP/2: the assertion burst', h2.assertionBurst],
  ['HTTP/2: a slow reader of large bodies', h2.assertionSlowLarge],
  ['HTTP/2: Rapid Reset', (to) => h2.rapidReset(to, 20000)],
  ['HTTP/2: frame floods', h2.frameFloods],
  ['HTTP/2: cache-digest bomb', async (to) => { await h2.cacheDigestBomb(to); }],
  ['HTTP/2: a flood into a closing connection', h2.closingFlood],
];
for (const [name, attack] of ATTACKS) {
  test(`TLS survives: ${name}`, { timeout: 300000 }, async (t) => {
    const result = await edge.survive(t, `TLS: ${name}`, () => attack(target()));
    if (result?.cut !== undefined) assert.ok(result.cut, 'it was not cut');
  });
}
