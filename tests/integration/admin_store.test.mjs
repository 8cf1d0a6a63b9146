// SPDX-License-Identifier: Apache-2.0
// The admin and its Redis: the first history, a store that is away, refuses,
// stalls, is empty or somebody else's; start and stop.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RedisProxy } from './support/proxy.mjs';
import { Program, Stack, freePort, request, sleep, until } from './support/stack.mjs';

async function withStack(options, run) {
  const stack = await Stack.start({ models: false, ...options });
  try {
    await run(stack);
  } finally {
    await stack.stop();
  }
}
const ready = async (stack) => (await request(stack.adminOpsUrl ?? `http://127.0.0.1:${stack.adminOpsPort}`, { path: '/readyz' })).status;
const ack = (over) => JSON.stringify({ kind: 'state', id: 'x-0-1', replaces: '', host: 'h', slot: 0, epoch: '00000000000000aa', revision: 5,
  state: 'live', reason: '', confirmed_ms: Date.now(), sent_ms: Date.now(), max_stale_s: 3600, rejected: 0,
    poisoned: 0, from_disk: false, saved_ms: 0, save_errors: 0, ...over });

test('the first history is made after three silent seconds, not while a worker holds a catalog', { timeout: 240000 }, async () => {
  const stack = await Stack.start({ models: false, admin: false });
  try {
    stack.adminPort = await freePort();
    stack.adminOpsPort = await freePort();
    const speaker = stack.program('speaker', 'redis-cli', ['-p', String(stack.redisPort), '-r', '-1', '-i', '0.1', 'PUBLISH', '{cm}:0:ack', ack()], {});
    const starting = stack.startAdmin().catch((error) => error);
    await until('it to live', async () => (await request(`http://127.0.0.1:${stack.adminOpsPort}`, { path: '/livez' })).status === 200);
    await until('a word, after those seconds', () => stack.admin.text().includes('"event":"store_not_ready"'));
    assert.equal(await stack.redisCli('EXISTS', '{cm}:head'), '0');
    const answer = await stack.call('PUT', '/models/a/b', {});
    assert.equal(answer.status, 503);
    assert.equal(answer.json.code, 'store_suspect');
    assert.ok(answer.headers['retry-after']);
    assert.equal(await ready(stack), 503);
    await speaker.stop('SIGKILL'); // no word comes after it was forgotten
    assert.equal((await stack.call('DELETE', '/fleet/x-0-1')).status, 204);
    // A worker that never had a catalog is no reason to wait.
    const waiting = setInterval(() => stack.redisCli('PUBLISH', '{cm}:0:ack', ack({ id: 'y-0-1', epoch: '', revision: 0, state: 'empty' })), 200);
    await starting;
    clearInterval(waiting);
    assert.equal(await stack.redisCli('HGET', '{cm}:head', 'rev'), '0');
    assert.equal(await ready(stack), 200);
  } finally {
    await stack.stop();
  }
});

test('Redis away: 503 with Retry-After, and back again', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const { id } = await stack.must('PUT', '/models/a/b', {});
  await stack.redis.stop();
  await until('not ready', async () => (await ready(stack)) === 503);
  for (const [method, path, body] of [['GET', '/models'], ['GET', `/models/${id}`], ['PUT', `/models/${id}`, { created: 1 }],
    ['POST', '/keys', { name: 'x' }], ['GET', '/keys'], ['GET', '/revisions/2'], ['GET', '/audit'], ['GET', '/aliases']]) {
    const answer = await stack.call(method, path, body);
    assert.equal(answer.status, 503, `${method} ${path}`);
    assert.equal(answer.json.code, 'store_unavailable');
    assert.equal(answer.headers['retry-after'], '1');
  }
  assert.equal((await request(`http://127.0.0.1:${stack.adminOpsPort}`, { path: '/livez' })).status, 200);
  await stack.startRedis();
  assert.equal((await stack.must('PUT', `/models/${id}`, { created: 1 })).revision, 2);
}));

// The moment when an operator wants to see the fleet: what is known, since when, and
// nothing that cannot be known now.
test('Redis away: the fleet is shown as it was last known', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const epoch = await stack.redisCli('HGET', '{cm}:head', 'epoch');
  const fleet = () => stack.must('GET', '/fleet');
  await stack.must('PUT', '/models/a/b', {});
  const confirmed = Date.now() - 1000;
  const say = (over) => stack.redisCli('PUBLISH', '{cm}:0:ack', ack({ epoch, revision: 1, confirmed_ms: confirmed, ...over }));
  await say({});
  await say({ id: 'x-1-1', slot: 1, revision: 0 });
  const before = await until('both', async () => {
    const list = await fleet();
    return list.data.length === 2 && list;
  });
  assert.deepEqual(before.data.map((w) => [w.state, w.lag_ms === 0]), [['live', true], ['live', false]]);
  assert.equal(before.store.state, 'good');
  await until('their mirror', async () => (await stack.redisCli('HLEN', '{cm}:fleet')) === '2');
  const seen = Date.parse(before.store.last_seen_at);
  assert.ok(seen > Date.now() - 60000);
  await stack.redis.stop('SIGKILL');
  const away = await until('the admin to notice', async () => {
    const list = await fleet();
    return list.store.state === 'away' && list.data.every((w) => w.state === 'silent') && list;
  });
  assert.deepEqual(away.data.map((w) => [w.id, w.revision, w.lag_ms >= 1000]), [['x-0-1', 1, true], ['x-1-1', 0, true]]);
  assert.deepEqual(away.data.map((w) => w.last_seen_at), before.data.map((w) => w.last_seen_at));
  assert.deepEqual([away.head_revision, away.store.reason, away.store.known], [1, null, { epoch, revision: 1 }]);
  assert.equal(away.store.records, null);
  assert.ok(Date.parse(away.store.last_seen_at) >= seen);
  const { store, ...revision } = await stack.must('GET', '/revisions/1');
  assert.deepEqual(revision, { revision: 1, workers: 2, applied: 1, complete: false, lagging: ['x-1-1'], head_revision: 1 });
  assert.equal(store.state, 'away');
  // All known ones have it, and it is not complete: who came meanwhile is not known.
  assert.deepEqual(await stack.must('GET', '/revisions/0').then((r) => [r.applied, r.complete]), [2, false]);
  // One that starts now knows its history from the journal, and of workers nothing.
  await stack.admin.stop();
  stack.startAdmin().catch(() => {}); // waits for ready
  const alone = await until('the next one', () => fleet());
  assert.deepEqual([alone.data, alone.head_revision, alone.store.state, alone.store.last_seen_at], [[], 1, 'away', null]);
  await stack.startRedis();
  await until('the fleet from its mirror', async () => (await fleet()).data.length === 2);
  await until('a store that answers', async () => (await fleet()).store.state === 'good');
}));

// Whoever asks once Redis is back finds it judged: no request sees the moment between.
test('an admin that hears nobody calls no revision complete', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const epoch = await stack.redisCli('HGET', '{cm}:head', 'epoch');
  await stack.must('PUT', '/models/a/b', {});
  await stack.redisCli('PUBLISH', '{cm}:0:ack', ack({ epoch, revision: 1 }));
  await until('the worker', async () => (await stack.must('GET', '/revisions/1')).complete);
  await stack.redisCli('ACL', 'SETUSER', 'default', 'resetchannels'); // its link for data stays
  await until('it to be deaf', async () => (await stack.adminReadyz()).json.subscription === false);
  const { workers, applied, complete } = await stack.must('GET', '/revisions/1');
  assert.deepEqual([workers, applied, complete], [1, 1, false]);
}));

test('a write right behind a reconnect finds the store looked at', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const details = new Set();
  await stack.must('PUT', '/models/a/b', {});
  for (let round = 0; round < 5; round++) {
    await stack.redisCli('CLIENT', 'KILL', 'TYPE', 'normal');
    await until('a write', async () => {
      const answer = await stack.call('PUT', '/models/a/b', { created: round });
      if (answer.status !== 200) details.add(answer.json.detail);
      return answer.status === 200;
    });
  }
  assert.ok(![...details].some((detail) => /looked at/.test(detail)), [...details].join());
}));

test('Redis that refuses: nothing is changed', () => withStack({}, async (stack) => {
  await stack.must('PUT', '/models/a/b', {});
  await stack.redisCli('CONFIG', 'SET', 'maxmemory', '1');
  const answer = await stack.call('PUT', '/models/a/c', {});
  assert.equal(answer.status, 503);
  assert.equal(answer.json.code, 'store_unavailable');
  assert.equal((await stack.call('GET', '/models/a/b')).status, 200);
  await stack.redisCli('CONFIG', 'SET', 'maxmemory', '0');
  assert.equal((await stack.must('PUT', '/models/a/c', {})).revision, 2);
}));

// Redis stands still with the commit in its hands: whatever it does with it later,
// the client was not told "nothing has changed".
test('Redis stalls in a commit: the answer is true or there is none', { timeout: 300000 }, () => withStack({}, async (stack) => {
  await stack.must('PUT', '/models/a/base', {});
  for (const stall of [1000, 4500]) {
    const writers = Array.from({ length: 4 }, async (_, n) => {
      const answers = [];
      for (let i = 0; i < 40; i++) {
        const id = `s${stall}/w${n}-${i}`;
        const answer = await stack.call('PUT', `/models/${id}`, {}).catch(() => null);
        answers.push([id, answer?.status ?? 0]);
        await sleep(5);
      }
      return answers;
    });
    await sleep(60);
    stack.redis.kill('SIGSTOP');
    await sleep(stall);
    stack.redis.kill('SIGCONT');
    const answers = (await Promise.all(writers)).flat();
    await until('ready', async () => (await ready(stack)) === 200);
    await sleep(300);
    const there = new Set((await stack.redisCli('HKEYS', '{cm}:models')).split('\n'));
    for (const [id, status] of answers) {
      if (status === 201) assert.ok(there.has(id), `${id} was answered 201 and is not there`);
      else if (status !== 0) assert.ok(!there.has(id), `${id} was answered ${status} and is there`);
    }
    const tally = {};
    for (const [, status] of answers) tally[status] = (tally[status] ?? 0) + 1;
    console.log(`# figure: Redis stalled ${stall} ms: answers by status ${JSON.stringify(tally)}`);
  }
}));

test('a commit whose answer is lost: made once, or not at all, or not answered', { timeout: 240000 }, async () => {
  const stack = await Stack.start({ models: false, admin: false });
  const proxy = await RedisProxy.start(stack.redisPort);
  try {
    stack.options.adminEnv = { CM_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
    await stack.startAdmin();
    await stack.must('PUT', '/models/a/first', {}); // the script is loaded
    let revision = 1;
    const there = async (id) => (await stack.redisCli('HEXISTS', '{cm}:models', id)) === '1';
    for (const what of ['swallow', 'deafen']) {
      proxy.nextCommit = what;
      proxy.refuseMs = 0;
      const put = await stack.must('PUT', `/models/a/${what}`, {});
      assert.equal(put.revision, ++revision, what);
      assert.ok(await there(`a/${what}`));
      proxy.nextCommit = what;
      const key = await stack.must('POST', '/keys', { name: what }, { 'idempotency-key': what });
      assert.equal(key.revision, ++revision);
      assert.match(key.secret, /^cm-/);
      assert.equal(proxy.nextCommit, null, 'nothing was lost: the test proves nothing');
      await until('ready', async () => (await ready(stack)) === 200);
    }
    for (const [what, made] of [['swallow', false], ['deafen', true]]) {
      proxy.nextCommit = what;
      proxy.refuseMs = Infinity; // until it has given up
      const cut = await stack.call('PUT', `/models/b/${what}`, {}).catch((error) => error);
      proxy.refuseUntil = 0;
      assert.ok(cut instanceof Error, `answered ${cut.status}`);
      await until('ready', async () => (await ready(stack)) === 200);
      await sleep(200);
      assert.equal(await there(`b/${what}`), made, what);
    }
    assert.equal((await stack.must('PUT', '/models/a/last', {})).revision, ++revision + 1);
  } finally {
    await stack.stop();
    await proxy.stop();
  }
});

test('a large import that is interrupted is not answered, and may be sent again', { timeout: 240000 }, async () => {
  const stack = await Stack.start({ models: false, admin: false });
  const proxy = await RedisProxy.start(stack.redisPort);
  try {
    stack.options.adminEnv = { CM_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
    await stack.startAdmin();
    const models = Array.from({ length: 30000 }, (_, i) => ({ id: `big/m${i}`, created: i }));
    const rev = async () => Number(await stack.redisCli('HGET', '{cm}:head', 'rev'));
    // Redis is full when the second of the three parts comes.
    proxy.beforeCommit = async () => { if ((await rev()) > 0) await stack.redisCli('CONFIG', 'SET', 'maxmemory', '1'); };
    const answer = await stack.call('POST', '/catalog/import', { models }).catch((error) => error);
    assert.equal(await rev(), 1);
    assert.ok(answer instanceof Error, `answered ${answer.status}`);
    proxy.beforeCommit = null;
    await stack.redisCli('CONFIG', 'SET', 'maxmemory', '0');
    const again = await stack.must('POST', '/catalog/import', { models });
    assert.deepEqual([again.unchanged, again.created], [10000, 20000]);
    assert.equal(await rev(), 3);
  } finally {
    await stack.stop();
    await proxy.stop();
  }
});

test('connections cut under the writes: every 201 is there, every 503 is not', { timeout: 240000 }, () => withStack({}, async (stack) => {
  await stack.must('PUT', '/models/a/base', {});
  let over = false;
  const cutter = (async () => {
    while (!over) {
      await stack.redisCli('CLIENT', 'KILL', 'TYPE', 'normal');
      await sleep(5 + Math.random() * 60);
    }
  })();
  const writers = Array.from({ length: 4 }, async (_, n) => {
    const answers = [];
    for (let i = 0; i < 60; i++) {
      const id = `cut/w${n}-${i}`;
      answers.push([id, (await stack.call('PUT', `/models/${id}`, {}).catch(() => null))?.status ?? 0]);
    }
    return answers;
  });
  const answers = (await Promise.all(writers)).flat();
  over = true;
  await cutter;
  await until('ready', async () => (await ready(stack)) === 200);
  const there = new Set((await stack.redisCli('HKEYS', '{cm}:models')).split('\n'));
  for (const [id, status] of answers)
    assert.equal(there.has(id), status === 201 || (status === 0 && there.has(id)), `${id} ${status}`);
  assert.ok(answers.some(([, status]) => status === 201));
  const log = (await stack.redisCli('XLEN', '{cm}:log'));
  assert.equal(Number(await stack.redisCli('HGET', '{cm}:head', 'rev')), Number(log));
  assert.equal(Number(log), there.size, 'no write was made twice');
}));

test('a store that lost its history, or holds another one, is not written to', () => withStack({}, async (stack) => {
  await stack.must('PUT', '/models/a/b', {});
  await stack.redisCli('FLUSHALL');
  const empty = await stack.call('PUT', '/models/a/c', {});
  assert.equal(empty.status, 503);
  assert.equal(empty.json.code, 'store_suspect');
  await sleep(3500);
  assert.equal(await stack.redisCli('EXISTS', '{cm}:head'), '0', 'no new history by itself');
  await stack.redisCli('HSET', '{cm}:head', 'format', '1', 'epoch', '00000000000000bb', 'parents', '', 'rev', '7',
    'change', '00000000000000cc', 'digest', '0'.repeat(32), 'models', '0');
  const foreign = await stack.call('PUT', '/models/a/c', {});
  assert.equal(foreign.status, 503);
  assert.equal(foreign.json.code, 'store_suspect');
  await stack.redisCli('HSET', '{cm}:head', 'format', '99');
  assert.equal((await stack.call('GET', '/models')).json.code, 'store_suspect');
}));

// The restart at three in the morning: nobody has seen the store fit since.
test('it starts against a store that is not right, and says so', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const verdicts = () => stack.admin.text().split('\n').filter((line) => /"store_(not_)?ready"/.test(line)).map((line) => JSON.parse(line));
  const reasons = () => verdicts().map((v) => v.reason ?? v.event);
  const suspected = async () => (await request(`http://127.0.0.1:${stack.adminOpsPort}`, { path: '/metrics' })).text.match(/^cm_admin_store_suspect\{.* 1$/gm);
  await stack.must('PUT', '/models/a/b', {});
  const epoch = await stack.redisCli('HGET', '{cm}:head', 'epoch');
  await stack.admin.stop();
  assert.deepEqual(reasons(), ['store_ready'], 'its own end says nothing about the store');
  rmSync(stack.admin.log);
  await stack.redisCli('FLUSHALL');
  const starting = stack.startAdmin();
  await until('a word about it', () => stack.admin && !stack.admin.exit && reasons().length > 0);
  const [first] = verdicts();
  assert.deepEqual([first.event, first.level, first.reason, first.known_epoch, first.known_revision, first.found_revision],
    ['store_not_ready', 'warn', 'empty', epoch, 1, 0]);
  assert.match(first.hint, /\/fleet/);
  assert.deepEqual(await suspected(), ['cm_admin_store_suspect{reason="empty"} 1']);
  assert.equal((await stack.call('GET', '/audit')).json.code, 'store_suspect');
  await stack.redisCli('HSET', '{cm}:head', 'format', '1', 'epoch', '00000000000000bb', 'parents', '', 'rev', '7',
    'change', '00000000000000cc', 'digest', '0'.repeat(32), 'models', '0');
  await stack.redisCli('XADD', '{cm}:audit', '7-0', 'e', '{"actor":"stranger"}');
  await until('another reason', () => reasons().length === 2);
  assert.deepEqual([verdicts()[1].reason, verdicts()[1].found_epoch, verdicts()[1].found_revision], ['foreign', '00000000000000bb', 7]);
  assert.deepEqual(await suspected(), ['cm_admin_store_suspect{reason="foreign"} 1']);
  const audit = await stack.call('GET', '/audit');
  assert.deepEqual([audit.status, audit.json.code], [503, 'store_suspect'], 'a stranger\'s past is not shown');
  await stack.must('POST', '/store/accept', { epoch: '00000000000000bb', revision: 7 });
  await starting;
  await until('ready', () => reasons().length === 3);
  assert.deepEqual(reasons(), ['empty', 'foreign', 'store_ready']);
}));

// Without a head, all may be there or nothing: who has to decide is told which.
test('a store without a head tells what lies in it, and what an accept would leave', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const lines = (event) => stack.admin.text().split('\n').filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line));
  const why = (text) => until(text, () => lines('store_not_ready').at(-1)?.why.endsWith(text));
  const store = async () => (await stack.must('GET', '/fleet')).store;
  const plan = async (body) => (await stack.must('POST', '/store/accept?dry_run=true', { epoch: null, revision: null, ...body })).records;
  const exports = () => lines('audit').filter((line) => line.action === 'config.export').length;
  await stack.must('PUT', '/models/a/b', {});
  await stack.must('PUT', '/models/a/c', {});
  await stack.must('POST', '/keys', { name: 'kept' });
  const revoked = await stack.must('POST', '/keys', { name: 'revoked' });
  const document = await stack.redisCli('HGET', '{cm}:keys', revoked.id);
  await stack.must('DELETE', `/keys/${revoked.id}`);
  assert.deepEqual((await store()).records, { models: 2, keys: 1 });
  const config = await stack.must('GET', '/config?include=key_hashes');
  const same = await stack.call('GET', '/config?include=key_hashes', undefined, { 'if-none-match': `"${config.revision}"` });
  assert.equal(same.status, 304);
  assert.equal(exports(), 1, 'a 304 carries no hashes');

  await stack.redisCli('DEL', '{cm}:head');
  await why('There is no head, but 2 models and 1 keys.');
  assert.deepEqual(await store().then(({ reason, found, records }) => ({ reason, found, records })),
    { reason: 'empty', found: null, records: { models: 2, keys: 1 } });
  assert.equal((await stack.call('GET', '/config?include=key_hashes')).status, 503);
  assert.equal(exports(), 1, 'a refused export is none');
  assert.deepEqual(await plan(), { models: 2, keys: 1 });
  // A key that was revoked and is back, as from an old copy: it does not stay.
  await stack.redisCli('HSET', '{cm}:keys', revoked.id, document);
  await stack.redisCli('DEL', `{cm}:gone:${revoked.id}`);
  assert.deepEqual((await store()).records, { models: 2, keys: 2 });
  assert.deepEqual(await plan(), { models: 2, keys: 1 });
  // Something else lives there: that is not known, and everything else still is.
  await stack.redisCli('SET', '{cm}:keys', 'x');
  assert.deepEqual(await store().then(({ reason, records }) => ({ reason, records })), { reason: 'empty', records: null });
  await why('It did not tell what else it holds.');

  await stack.redisCli('FLUSHALL');
  await why('There is nothing.');
  assert.deepEqual((await store()).records, { models: 0, keys: 0 });
  assert.deepEqual(await plan(), { models: 0, keys: 0 });
  config.models.pop();
  assert.deepEqual(await plan({ config }), { models: 1, keys: 1 });
  assert.deepEqual((await stack.must('POST', '/store/accept', { epoch: null, revision: null, config })).records, { models: 1, keys: 1 });
  assert.deepEqual((await store()).records, { models: 1, keys: 1 });
  await until('ready', async () => (await ready(stack)) === 200);
}));

test('it refuses a Redis that may evict, and warns without AOF', { timeout: 240000 }, async () => {
  const stack = await Stack.start({ models: false, admin: false });
  try {
    await stack.redisCli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await stack.redisCli('CONFIG', 'SET', 'appendonly', 'no');
    const starting = stack.startAdmin().catch(() => {});
    await until('its end', () => stack.admin?.exit);
    assert.equal(stack.admin.exit.code, 1);
    assert.match(stack.admin.text(), /"redis_may_evict".*"allkeys-lru"/);
    assert.match(stack.admin.text(), /"redis_without_aof"/);
    await starting;
    await stack.redisCli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await stack.startAdmin();
  } finally {
    await stack.stop();
  }
});

test('the process: bad settings, second instance, clean stop with work in flight', { timeout: 240000 }, () => withStack({ adminEnv: { CM_DRAIN_TIMEOUT_S: '3' } }, async (stack) => {
  const run = async (env, args = []) => {
    const program = new Program(stack.dir, `extra${Math.random()}`, stack.admin.child.spawnfile, args, env);
    const exit = await program.exited;
    return { code: exit.code, text: program.text() };
  };
  const good = { CM_ADMIN_LISTEN: '127.0.0.1:0', CM_ADMIN_OPS_LISTEN: '127.0.0.1:0', CM_ADMIN_TOKENS_FILE: stack.tokensFile, ...stack.storeEnv() };
  const bad = async (env, ...patterns) => {
    const { code, text } = await run({ ...good, ...env });
    assert.notEqual(code, 0);
    for (const pattern of patterns) assert.match(text, pattern);
  };
  await bad({ CM_ADMIN_TOKENS_FILE: '/nonexistent' }, /CM_ADMIN_TOKENS_FILE/);
  writeFileSync(join(stack.dir, 'empty'), '# nothing\n');
  await bad({ CM_ADMIN_TOKENS_FILE: join(stack.dir, 'empty') }, /no token/);
  await bad({ CM_REDIS_URL: 'rediss://x', CM_REDIS_PREFIX: 'a b', CM_ADMIN_TOKENS_FILE: '/nonexistent', CM_LOG_KEEP: 'x' },
    /CM_REDIS_URL/, /CM_REDIS_PREFIX/, /CM_ADMIN_TOKENS_FILE/, /CM_LOG_KEEP/); // all at once
  await bad({ CM_ADMIN_LISTN: 'x' }, /CM_ADMIN_LISTN/);
  assert.equal((await run({ ...good, CM_REPAIR_WAIT_MS: '0' }, ['--check-config'])).code, 0, 'as for cm-models');
  await bad({ CM_ADMIN_LISTEN: `127.0.0.1:${stack.adminPort}` }, /cannot_listen.*in use/i);
  // A state directory that is not ours alone, and the journal of another store.
  const state = join(stack.dir, 'state');
  mkdirSync(state);
  chmodSync(state, 0o777);
  await bad({ CM_STATE_DIR: state }, /"cannot_start".*"CM_STATE_DIR".*no other user may write to it/);
  await stack.admin.stop();
  await bad({ CM_STATE_DIR: stack.adminState, CM_REDIS_PREFIX: 'other' }, /"cannot_start".*"CM_STATE_DIR".*another prefix or database/);
  await stack.startAdmin();
  const check = await run({ ...good, CM_REDIS_PASSWORD: 'hidden' }, ['--check-config']);
  assert.equal(check.code, 0);
  assert.match(check.text, /CM_REDIS_PASSWORD=\*\*\*/);
  assert.ok(!check.text.includes('hidden'));
  assert.match((await run({}, ['--version'])).text, /^cm-admin \d/);
  assert.match((await run({}, ['--help'])).text, /CM_ADMIN_TOKENS_FILE/);

  // A write that waits for a worker which never comes is answered before the end.
  await stack.redisCli('PUBLISH', '{cm}:0:ack', ack({ kind: 'hello', epoch: '', revision: 0 }));
  const waiting = stack.call('PUT', '/models/a/b', {}, { prefer: 'wait=30' });
  await until('the write', async () => (await stack.redisCli('HGET', '{cm}:head', 'rev')) === '1');
  const exit = stack.admin.stop();
  const answer = await waiting;
  assert.equal(answer.status, 201);
  assert.equal(answer.json.propagation.complete, false);
  assert.equal((await exit).code, 0);
  assert.ok(!readFileSync(stack.admin.log, 'utf8').includes('ERROR: LeakSanitizer'));
}));

test('a body above the limit is 413', () => withStack({ adminEnv: { CM_ADMIN_MAX_BODY: '1' } }, async (stack) => {
  const answer = await stack.call('PUT', '/models/a/b', `{"display_name":"${'x'.repeat((1 << 20) + 10)}"}`);
  assert.equal(answer.status, 413);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  assert.equal(answer.json.code, 'body_too_large');
  assert.equal(answer.json.request_id, answer.headers['x-request-id']);
  assert.equal((await stack.call('GET', '/models/a/b')).status, 404);
}));

test('/metrics and the roster after a restart', { timeout: 240000 }, () => withStack({}, async (stack) => {
  const text = (await request(`http://127.0.0.1:${stack.adminOpsPort}`, { path: '/metrics' })).text;
  assert.match(text, /^cm_admin_ready 1$/m);
  assert.match(text, /^# TYPE cm_admin_http_requests_total counter$/m);
  const epoch = await stack.redisCli('HGET', '{cm}:head', 'epoch');
  await stack.redisCli('PUBLISH', '{cm}:0:ack', ack({ kind: 'hello', id: 'kept-0-1', epoch, revision: 0 }));
  await until('the mirror', async () => (await stack.redisCli('HKEYS', '{cm}:fleet')) === 'kept-0-1');
  await stack.admin.stop();
  await stack.startAdmin();
  const put = await stack.must('PUT', '/models/a/b', {}, { prefer: 'wait=1' });
  assert.deepEqual(put.propagation.lagging, ['kept-0-1']);
  const worker = (await stack.must('GET', '/fleet')).data[0];
  assert.equal(worker.id, 'kept-0-1');
}));
