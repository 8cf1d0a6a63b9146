// SPDX-License-Identifier: Apache-2.0
// cm-models under attack over TLS: what TLS itself adds, and those attacks on HTTP/2 again
// that depend on how bytes arrive and leave.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TLS } from './support/attacks.mjs';
import { Edge } from './support/edge.mjs';
import { overTls } from './support/tls_tap.mjs';

let edge;
before(async () => { edge = await Edge.start({ tls: true }); }, { timeout: 180000 });
after(() => edge?.stop());
const target = () => edge.target({ port: edge.tlsPort, connect: overTls });

for (const [name, attack] of TLS) {
  test(`TLS survives: ${name}`, { timeout: 300000 }, async (t) => {
    const result = await edge.survive(t, `TLS: ${name}`, () => attack(target()));
    if (result?.cut !== undefined) assert.ok(result.cut, 'it was not cut');
  });
}
