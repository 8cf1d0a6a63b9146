// SPDX-License-Identifier: Apache-2.0
// Who leaves, or is replaced, while nobody can hear it: the fleet must not go on waiting
// for those that have ended, and must never leave out one that has not.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { request, Stack, until } from '../integration/support/stack.mjs';

const dirs = [];
after(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

async function withStack(run) {
  const dir = mkdtempSync(join(tmpdir(), 'cm-state-'));
  dirs.push(dir);
  const stack = await Stack.start({ workers: 2, modelsEnv: { CM_STATE_DIR: dir } });
  try {
    await stack.must('PUT', '/models/acme/one', {}, { prefer: 'wait=30' });
    await until('the disk copy', () => readdirSync(dir).includes('catalog'));
    await run(stack, dir);
  } finally {
    await stack.stop();
  }
}

const fleet = async (stack) => (await stack.must('GET', '/fleet')).data;
const instance = (id) => id.split('-')[0];
const workers = async (stack) => (await request(stack.opsUrl, { path: '/readyz' })).json.workers;
const byes = (dir) => readdirSync(dir).filter((name) => name.startsWith('bye-'));

// Both workers of that service and nobody else; a write is complete with them.
async function justThese(stack, what, is) {
  await until(what, async () => {
    const now = await fleet(stack);
    return now.length === 2 && now.every((w) => w.state === 'live' && is(w.id));
  });
  const { propagation } = await stack.must('PUT', '/models/acme/one', { display_name: what }, { prefer: 'wait=30' });
  assert.deepEqual([propagation.workers, propagation.complete], [2, true]);
}

test('workers that leave while Redis is away are not waited for, over two starts', { timeout: 180000 }, async () => {
  await withStack(async (stack, dir) => {
    const seen = new Set((await fleet(stack)).map((w) => instance(w.id)));
    assert.equal(seen.size, 1);
    await stack.redis.stop('SIGKILL');
    for (let start = 1; start <= 2; start++) {
      await stack.models.stop();
      assert.equal(byes(dir).length, 2 * start);
      await stack.startModels(); // ready from disk
    }
    await stack.startRedis();
    await justThese(stack, 'the newest alone', (id) => !seen.has(instance(id)));
    // Said to one that comes late, too; then they are gone with the next end.
    await until('all to be said', () => (stack.models.text().match(/"event":"byes_said"/g) ?? []).length === 2);
    await stack.models.stop();
    assert.deepEqual(byes(dir), []);
    await until('nobody to be left', async () => (await fleet(stack)).length === 0);
  });
});

test('workers that leave while no admin runs are not waited for', { timeout: 180000 }, async () => {
  await withStack(async (stack, dir) => {
    const [old] = await fleet(stack);
    await stack.admin.stop();
    await stack.models.stop();
    assert.equal(byes(dir).length, 2);
    await stack.startModels();
    await stack.startAdmin();
    await justThese(stack, 'the new ones alone', (id) => instance(id) !== instance(old.id));
  });
});

test('a worker that is killed while Redis is away is taken off by its successor', { timeout: 180000 }, async () => {
  await withStack(async (stack) => {
    const old = await fleet(stack);
    await stack.redis.stop('SIGKILL');
    for (const incarnation of [2, 3]) {
      for (const w of await workers(stack)) process.kill(w.pid, 'SIGKILL');
      await until('the successors', async () => {
        const now = await workers(stack);
        return now.length === 2 && now.every((w) => w.ready && w.incarnation === incarnation);
      });
    }
    await stack.startRedis();
    await justThese(stack, 'the successors alone', (id) => id.endsWith('-3') && instance(id) === instance(old[0].id));
  });
});
