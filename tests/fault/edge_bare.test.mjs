// SPDX-License-Identifier: Apache-2.0
// The attacks of edge_*.test.mjs are real: libh2o as it comes, without anything of ours
// around it, dies of them or swells. A library on which one of these tests fails is
// another one than the guard was written for.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sleep } from '../integration/support/stack.mjs';
import * as h2 from './support/attacks_h2.mjs';
import * as overTls from './support/attacks_tls.mjs';
import { certificate } from './support/tls_tap.mjs';
import { Bare } from './support/victim.mjs';

const dir = mkdtempSync(join(tmpdir(), 'cm-bare-'));
const { both } = certificate(dir);
after(() => rmSync(dir, { recursive: true, force: true }));

const ABORTS = [
  // Of a slow reader of small bodies it dies too, by the same assertion, but not on a busy machine:
  // that takes two reads of the server within 2 ms while its pipe is just full.
  ['the assertion burst', h2.assertionBurst],
  ['a slow reader of large bodies', h2.assertionSlowLarge],
  ['TLS: a bad record after a request', overTls.badRecordAfterRequest, [both]],
  ['TLS: a bad record during a write', overTls.badRecordWhileWriting, [both]],
];
for (const [name, attack, args] of ABORTS) {
  test(`libh2o alone aborts: ${name}`, { timeout: 180000 }, async (t) => {
    const bare = await Bare.start(args);
    try {
      for (let i = 0; i < 5 && !bare.exit; i++) {
        await attack(bare.target());
        await sleep(50);
      }
      assert.equal(bare.exit?.signal, 'SIGABRT', `${name}: it lives`);
      t.diagnostic(`figure ${name}: ${bare.err.trim().split('\n').at(-1).replace(/^.*?: /, '')}`);
    } finally {
      await bare.stop();
    }
  });
}

const SWELLS = [
  ['HPACK bomb', (target) => h2.hpackBomb(target, 5)],
  ['HPACK bomb of static fields', (target) => h2.hpackBombStatic(target, 5)],
  ['cache-digest bomb', (target) => h2.cacheDigestBomb(target, 15)],
  ['TLS: bytes after close_notify', (target) => overTls.afterCloseNotify(target, { patience: 1000 }), [both]],
];
for (const [name, attack, args] of SWELLS) {
  test(`libh2o alone swells: ${name}`, { timeout: 180000 }, async (t) => {
    const bare = await Bare.start(args);
    const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${bare.child.pid}/status`, 'latin1'))[1]) / 1024;
    try {
      const before = peak();
      let grown = 0;
      for (let i = 0; i < 5 && grown < 64; i++) { // by bad luck an end and what follows are one read
        await attack(bare.target());
        grown = peak() - before;
      }
      t.diagnostic(`figure ${name}: libh2o alone grows by ${grown.toFixed(0)} MiB`);
      assert.ok(grown > 64, `${name}: ${grown} MiB`);
    } finally {
      await bare.stop();
    }
  });
}
