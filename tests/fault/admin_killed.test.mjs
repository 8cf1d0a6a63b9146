// SPDX-License-Identifier: Apache-2.0
// The admin is killed in the middle of writes, again and again; and two of them
// write to the same objects. Each request is one change or none, the journal says
// what the log says, and no update is lost.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stack, sleep, until } from '../integration/support/stack.mjs';

const LONG = process.env.CM_TEST_LONG === '1';
const KILLS = LONG ? 100 : 8;
const WRITES = LONG ? 5000 : 600;

// The journal as admin/journal.c writes it: what became of each change.
function readJournal(dir) {
  const states = new Map();
  const bytes = readFileSync(join(dir, 'journal'));
  for (let at = 'cm-journal 1\n'.length; at < bytes.length;) {
    const len = bytes.readUInt32LE(at), kind = String.fromCharCode(bytes[at + 4]), body = bytes.subarray(at + 5, at + 5 + len);
    const id = (offset) => body.readBigUInt64LE(offset).toString(16).padStart(16, '0');
    if (kind === 'I') states.set(id(16), 'intended');
    else if (kind !== 'N') states.set(id(0), kind === 'D' ? 'done' : 'void');
    at += 5 + len + 16;
  }
  return states;
}

async function logChanges(stack) {
  const lines = (await stack.redisCli('XRANGE', '{cm}:log', '-', '+')).split('\n');
  return lines.flatMap((line, i) => (line === 'c' ? [lines[i + 1]] : []));
}

test(`cm-admin killed ${KILLS} times in the middle of writes`, { timeout: 600000 }, (t) => (async () => {
  const stack = await Stack.start({ models: false });
  try {
    await stack.must('PUT', '/models/acme/m', { created: 1 });
    let over = false, cut = 0;
    const made = [];
    // Each key is asked for until there is an answer, with one Idempotency-Key.
    const writer = async (name) => {
      for (let i = 0; !over; i++) {
        const key = `${name}-${i}`;
        for (;;) {
          const answer = await stack.call('POST', '/keys', { name: key, aliases: [{ match: 'exact', name: 'a', target: 'acme/m' }] },
            { 'idempotency-key': key }).catch(() => null);
          if (answer?.status === 201) { made.push({ key, id: answer.json.id }); break; }
          assert.ok(answer === null || answer.status === 503, answer?.text);
          cut += answer === null;
          await sleep(20);
        }
      }
    };
    const writers = ['w1', 'w2', 'w3'].map(writer);
    for (let i = 0; i < KILLS; i++) {
      await sleep(100 + Math.random() * 200);
      await stack.admin.stop('SIGKILL');
      await stack.startAdmin();
    }
    over = true;
    await Promise.all(writers);
    const { keys } = await stack.must('GET', '/config');
    const names = keys.map((k) => k.name).sort();
    assert.deepEqual(names, made.map((m) => m.key).sort(), 'one change each');
    assert.deepEqual(new Set(keys.map((k) => k.id)), new Set(made.map((m) => m.id)), 'the one that was answered');
    const references = (await stack.redisCli('SCARD', '{cm}:refs:acme/m'));
    assert.equal(Number(references), keys.length, 'whole');
    const rev = Number(await stack.redisCli('HGET', '{cm}:head', 'rev'));
    assert.equal(rev, keys.length + 1);
    const log = await logChanges(stack), journal = readJournal(stack.adminState);
    await until('the journal to be settled', () => [...readJournal(stack.adminState).values()].every((s) => s !== 'intended'));
    assert.deepEqual(log.filter((change) => readJournal(stack.adminState).get(change) !== 'done'), [], 'journal = log');
    assert.equal([...readJournal(stack.adminState).values()].filter((s) => s === 'done').length, log.length);
    assert.doesNotMatch(stack.programs.map((p) => p.text()).join(''), /store_repaired|AddressSanitizer|runtime error/);
    t.diagnostic(`figure ${KILLS} kills, ${made.length} keys made once each, ${cut} requests cut and sent again, ${journal.size} intents`);
  } finally {
    await stack.stop();
  }
})());

test(`two admins, ${WRITES} interleaved writes to the same objects`, { timeout: 600000 }, (t) => (async () => {
  const stack = await Stack.start({ workers: 2 });
  try {
    const second = Object.create(stack);
    const state = join(stack.dir, 'admin-state-2');
    mkdirSync(state);
    Object.assign(second, { adminPort: undefined, adminOpsPort: undefined, options: { ...stack.options, adminEnv: { CM_STATE_DIR: state } } });
    await second.startAdmin();
    const key = await stack.must('POST', '/keys', { name: 'shared' });
    for (let i = 0; i < 3; i++) await stack.must('PUT', `/models/acme/m${i}`, { created: i, context_length: 1 });
    let left = WRITES, stale = 0, done = 0;
    const added = [0, 0, 0];
    const tags = [];
    // Read, add one, write back: with If-Match, so that nothing is ever overwritten.
    const count = async (admin) => {
      while (left-- > 0) {
        const m = left % 3, path = `/models/acme/m${m}`;
        for (;;) {
          const read = await admin.call('GET', path);
          const answer = await admin.call('PATCH', path, { context_length: read.json.context_length + 1 }, { 'if-match': read.headers.etag });
          if (answer.status === 200) break;
          assert.equal(answer.status, 412, answer.text);
          stale++;
        }
        added[m]++;
        done++;
      }
    };
    // Without If-Match: the admins' own compare-and-set must keep each other's aliases.
    const alias = async (admin, name) => {
      for (let i = 0; left > 0; i++) {
        const answer = await admin.call('PUT', `/keys/${key.id}/aliases/exact/${name}${i % 100}`, { target: `acme/m${i % 3}` });
        assert.ok(answer.status < 300, answer.text);
        tags.push(`${name}${i % 100}`);
        done++;
        left--;
      }
    };
    const started = Date.now();
    await Promise.all([count(stack), count(second), count(stack), count(second), alias(stack, 'a'), alias(second, 'b')]);
    const seconds = (Date.now() - started) / 1000;
    for (let m = 0; m < 3; m++)
      assert.equal((await stack.must('GET', `/models/acme/m${m}`)).context_length, 1 + added[m], 'a lost update');
    const { aliases } = await second.must('GET', `/keys/${key.id}`);
    assert.deepEqual(aliases.map((a) => a.name).sort(), [...new Set(tags)].sort());
    for (const admin of [stack, second]) {
      const { propagation } = await admin.must('PUT', `/models/acme/last-${admin === stack}`, {}, { prefer: 'wait=30' });
      assert.deepEqual([propagation.workers, propagation.applied, propagation.complete], [2, 2, true]);
    }
    t.diagnostic(`figure ${done} writes by two admins in ${seconds.toFixed(1)} s, ${stale} stale and read again, 0 lost`);
  } finally {
    await stack.stop();
  }
})());
