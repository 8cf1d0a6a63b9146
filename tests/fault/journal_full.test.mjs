// SPDX-License-Identifier: Apache-2.0
// The disk under CM_STATE_DIR is full (a limit on the size of files, so that it can be
// lifted again): writes are refused before they reach Redis, and what was answered is in
// the journal, whatever happens next.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stack, request, until } from '../integration/support/stack.mjs';

const OUTCOME = 5 + 8 + 16; // bytes of "done" in the journal

async function withStack(run) {
  const stack = await Stack.start({ models: false });
  try {
    await stack.redisCli('CONFIG', 'SET', 'appendfsync', 'no');
    // All that the process writes elsewhere (its log) is shorter than its journal, and revisions have two digits.
    for (let i = 0; i < 20; i++) await stack.must('PUT', `/models/acme/m${i}`, { created: i });
    await run(stack);
  } catch (error) {
    for (const program of stack.programs) console.log(`--- ${program.name}\n${program.text().slice(-3000)}`);
    throw error;
  } finally {
    await stack.stop();
  }
}

const journalSize = (stack) => statSync(join(stack.adminState, 'journal')).size;
const limit = (stack, bytes) => execFileSync('prlimit', ['--pid', String(stack.admin.pid), `--fsize=${bytes}:unlimited`]);
const ops = (stack, path) => request(`http://127.0.0.1:${stack.adminOpsPort}`, { path });
const revision = async (stack) => Number(await stack.redisCli('HGET', '{cm}:head', 'rev'));
const isThere = async (stack, id) => (await stack.redisCli('HEXISTS', '{cm}:models', id)) === '1';
const isCut = async (promise) => (await promise.catch((error) => error)) instanceof Error;
const aof = (stack) => {
  const dir = join(stack.dir, 'appendonlydir');
  return join(dir, readdirSync(dir).find((name) => name.endsWith('.incr.aof')));
};

// The disk has room for the intent of such a write, and not for its outcome.
async function leaveRoomForIntent(stack, write) {
  const before = journalSize(stack);
  await write();
  const intent = journalSize(stack) - before - OUTCOME;
  limit(stack, journalSize(stack) + intent + OUTCOME - 1);
}

test('a full disk: writes are refused and change nothing, and are taken again when there is room', { timeout: 240000 }, () => withStack(async (stack) => {
  const before = await revision(stack);
  limit(stack, journalSize(stack) + 20);
  for (let i = 0; i < 10; i++) {
    const answer = await stack.call('PUT', `/models/full/m${i}`, { created: 1 });
    assert.deepEqual([answer.status, answer.json.code, answer.headers['retry-after']], [503, 'store_unavailable', '1']);
    assert.match(answer.json.detail, /journal/);
  }
  assert.equal(await revision(stack), before);
  const ready = await ops(stack, '/readyz');
  assert.deepEqual([ready.status, ready.json.ready, ready.json.journal], [503, false, { state: 'failing', why: 'File too large' }]);
  assert.match((await ops(stack, '/metrics')).text, /^cm_admin_journal_failing 1$/m);
  assert.equal((await ops(stack, '/livez')).status, 200);
  assert.equal((await stack.call('GET', '/models/acme/m1')).status, 200);
  assert.equal(stack.admin.text().match(/"journal_not_written"/g).length, 1, 'said once');
  limit(stack, 'unlimited');
  await until('ready, without a write', async () => (await ops(stack, '/readyz')).status === 200);
  assert.deepEqual((await ops(stack, '/readyz')).json.journal, { state: 'good' });
  assert.equal((await stack.must('PUT', '/models/full/m0', { created: 1 })).revision, before + 1);
}));

test('the disk is full between script and outcome: no answer, until it is on disk', { timeout: 240000 }, (t) => withStack(async (stack) => {
  const make = (name) => stack.call('POST', '/keys', { name }, { 'idempotency-key': name });
  const kept = statSync(aof(stack)).size;
  await leaveRoomForIntent(stack, () => make('key-0'));
  let cut = 0;
  for (let i = 0; i < 3; i++) { // the first makes it, the others repeat it
    assert.ok(await isCut(make('key-1')), 'answered');
    cut++;
  }
  const { keys } = await stack.must('GET', '/config');
  const [made] = keys.filter((key) => key.name === 'key-1');
  assert.ok(made, 'the script was not sent: the test proves nothing');
  assert.equal((await make('key-2')).status, 503, 'nor is another one begun');
  assert.equal((await ops(stack, '/readyz')).json.journal.state, 'failing');
  limit(stack, 'unlimited');
  await until('ready, without a write', async () => (await ops(stack, '/readyz')).status === 200);
  const repeat = await make('key-1');
  assert.deepEqual([repeat.status, repeat.json.id, repeat.headers['idempotency-replayed']], [201, made.id, 'true']);
  // Both die and Redis loses it: it was answered.
  await stack.admin.stop('SIGKILL');
  await stack.redis.stop('SIGKILL');
  truncateSync(aof(stack), kept);
  await stack.launchRedis(['--appendfsync', 'no']);
  await stack.startAdmin();
  await until('the repair', async () => (await stack.call('GET', `/keys/${made.id}`)).status === 200);
  t.diagnostic(`figure ${cut} requests cut while the disk was full, 0 answered writes lost`);
}));

test('what is so already is not answered either while it is not on disk', { timeout: 240000 }, () => withStack(async (stack) => {
  await leaveRoomForIntent(stack, () => stack.must('PUT', '/models/acme/n0', { created: 1 }));
  assert.ok(await isCut(stack.call('PUT', '/models/acme/n1', { created: 1 })), 'answered');
  assert.ok(await isThere(stack, 'acme/n1'));
  const before = await revision(stack);
  assert.equal((await stack.call('PUT', '/models/acme/n1', { created: 1 })).status, 503);
  limit(stack, 'unlimited');
  await until('ready, without a write', async () => (await ops(stack, '/readyz')).status === 200);
  assert.equal((await stack.must('PUT', '/models/acme/n1', { created: 1 })).revision, before);
}));
