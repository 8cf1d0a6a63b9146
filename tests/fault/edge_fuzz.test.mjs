// SPDX-License-Identifier: Apache-2.0
// Connections that say almost the right thing, under AddressSanitizer and UBSan: the
// programs find nothing to complain of, and an honest client is served beside them.
// CM_TEST_SEED repeats a run.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { root, sleep } from '../integration/support/stack.mjs';
import { LONG } from './support/attacks.mjs';
import { Edge } from './support/edge.mjs';
import { Bare } from './support/victim.mjs';

const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan');
const COUNT = LONG ? 200000 : 10000;
const seed = process.env.CM_TEST_SEED ?? String(Date.now());
let edge;
before(async () => { edge = await Edge.start(); }, { timeout: 180000 });
after(() => edge?.stop());

async function fuzz(what, port, count, authorization, { path, length }) {
  const child = spawn(resolve(bin, 'tests/fuzz_client'), [what, String(port), String(count), seed, authorization, path, String(length)], { stdio: ['ignore', 'inherit', 'pipe'] });
  let err = '';
  child.stderr.on('data', (chunk) => { err += chunk; });
  const [code] = await once(child, 'close');
  return { code, err };
}

for (const [what, answer, count] of [['h2', 'large', COUNT / 2], ['h2', 'small', COUNT / 2], ['h1', 'small', COUNT]]) {
  const name = `${count} fuzzed connections of ${what}, ${answer} answers`;
  test(name, { timeout: LONG ? 1800000 : 180000 }, async (t) => {
    t.diagnostic(`figure seed of ${name}: ${seed}`);
    const { code, err } = await edge.survive(t, name, () => fuzz(what, edge.stack.port, count, `Bearer ${edge.secret}`, edge[answer]));
    assert.equal(code, 0, err);
  });
}

// One burst in 50 is the assertion burst: some hundreds of them are enough, whatever the seed.
test('the same mix kills libh2o alone', { timeout: 180000 }, async (t) => {
  const bare = await Bare.start();
  try {
    const { err } = await fuzz('h2', bare.port, 20000, 'Bearer k', { path: '/small', length: 100 });
    await Promise.race([bare.exited, sleep(10000, undefined, { ref: false })]);
    t.diagnostic(`figure libh2o alone: ${err.trim()}; ${bare.err.trim().split('\n').at(-1).slice(-160)}`);
    assert.equal(bare.exit?.signal, 'SIGABRT');
  } finally {
    await bare.stop();
  }
});
