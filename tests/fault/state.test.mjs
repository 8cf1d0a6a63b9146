// SPDX-License-Identifier: Apache-2.0
// What a worker knows when Redis is gone, and after it was killed, stopped or started
// anew. CM_TEST_LONG=1 for the full counts and times.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RedisProxy } from '../integration/support/proxy.mjs';
import { bin, request, sleep, Stack, until } from '../integration/support/stack.mjs';

const long = process.env.CM_TEST_LONG === '1';
const fragile = join(bin, 'tests/cm_models_fragile');
const dirs = [];

function stateDir() {
  const dir = mkdtempSync(join(tmpdir(), 'cm-state-'));
  dirs.push(dir);
  return dir;
}

after(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

async function withStack(options, run) {
  const stack = await Stack.start(options);
  try {
    await run(stack);
  } finally {
    await stack.stop();
  }
}

const auth = (key) => ({ authorization: `Bearer ${key.secret}` });
const readyz = async (stack) => (await request(stack.opsUrl, { path: '/readyz' })).json;

// Every worker has answered with that key: fresh connections spread over them.
async function warm(stack, key) {
  for (let i = 0; i < 40; i++)
    assert.equal((await stack.get('/v1/models', auth(key))).status, 200);
}

function size(path) {
  try { return statSync(path).size; } catch { return 0; }
}

// Both the catalog and the keys of every slot are on disk as they are now.
async function kept(stack, dir, revision) {
  await until('the state to be written', () => {
    if (!readFileSync(join(dir, 'catalog'), 'utf8').startsWith('cm-models snapshot 1 ')) return false;
    for (let slot = 0; slot < (stack.options.workers ?? 2); slot++)
      if (!readFileSync(join(dir, `keys-${slot}`), 'utf8').includes(` ${revision} `)) return false;
    return true;
  });
}

// Its children go with it, a moment later; until then the ports are theirs.
async function killModels(stack) {
  stack.models.kill('SIGKILL');
  await stack.models.exited;
  const refused = (url) => request(url, { path: '/' }).then(() => false, (e) => e.code === 'ECONNREFUSED');
  for (const url of [stack.url, stack.opsUrl]) await until('its children gone', () => refused(url));
}

// While it is replaced it is only there as the former one.
function diary(dir, slot) {
  const path = join(dir, `keys-${slot}`);
  try { return readFileSync(path, 'utf8'); } catch { return readFileSync(`${path}.1`, 'utf8'); }
}

// That line of the key is in the diary of both workers: 'K', what it may; 'D', that it is refused.
function isNoted(dir, kind, key) {
  const line = ` ${kind} ${createHash('sha256').update(key.secret).digest('hex')}`;
  return [0, 1].every((slot) => diary(dir, slot).includes(line));
}
const noted = (dir, kind, key) => until(`${kind} in the diaries`, () => isNoted(dir, kind, key));

test('a fresh process is ready from disk with 10,000 models and Redis down', async (t) => {
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    const models = Array.from({ length: 10000 }, (_, i) => ({
      id: `vendor-${i % 50}/model-${i}`, display_name: `Model ${i}`, created: 1700000000 + i, owned_by: 'somebody',
      context_length: 128000, max_completion_tokens: 8192,
      architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'] },
      capabilities: { tools: true, vision: true } }));
    await stack.must('POST', '/catalog/import?format=native', { models }, { prefer: 'wait=30' });
    const key = await stack.must('POST', '/keys', { name: 'a' }, { prefer: 'wait=30' });
    await warm(stack, key);
    const before = await stack.get('/v1/models', auth(key));
    assert.equal(before.json.data.length, 10000);
    const { revision } = key;
    await kept(stack, dir, revision);
    await until('all models on disk', () => size(join(dir, 'catalog')) > 2000000);
    await killModels(stack);
    await stack.redis.stop('SIGKILL');

    const started = performance.now();
    stack.options.awaitReady = false;
    await stack.startModels();
    await until('ready', async () => (await request(stack.opsUrl, { path: '/readyz' })).status === 200);
    const ms = performance.now() - started;
    const took = [...stack.models.text().matchAll(/"event":"state_loaded".*?"took_ms":(\d+)/g)].map((m) => m[1]);
    t.diagnostic(`figure cold start, Redis down, 10,000 models: ready after ${ms.toFixed(0)} ms, `
      + `reading took ${took.join(' and ')} ms (${process.env.CM_BIN_DIR ?? 'build/asan'}, 2 workers)`);
    await until('both', async () => (await readyz(stack)).workers.every((w) => w.ready && w.accepting));
    for (const worker of (await readyz(stack)).workers) {
      assert.equal(worker.state, 'away');
      assert.equal(worker.from_disk, true);
      assert.equal(worker.revision, revision);
    }
    const answer = await stack.get('/v1/models', auth(key));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.etag, before.headers.etag);
    assert.equal((await stack.get('/v1/models', { authorization: 'Bearer unknown' })).status, 500);

    await stack.startRedis();
    await until('live', async () => (await readyz(stack)).workers.every((w) => w.state === 'live' && !w.from_disk));
    const metrics = (await request(stack.opsUrl, { path: '/metrics' })).text;
    assert.match(metrics, /^cm_feed_reloads_total 0$/m); // it went on where it stood
  });
});

test('what was refused stays refused by a worker that was killed and starts with Redis down', async (t) => {
  const rounds = long ? 20 : 2;
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', {});
    let asked = 0;
    for (let round = 0; round < rounds; round++) {
      const [good, bad] = [await stack.must('POST', '/keys', { name: 'g' }), await stack.must('POST', '/keys', { name: 'b' })];
      await warm(stack, good);
      await warm(stack, bad);
      const onDisk = round % 2 === 0; // else they may not be
      if (onDisk) for (const key of [good, bad]) await noted(dir, 'K', key);
      await stack.must('DELETE', `/keys/${bad.id}`, undefined, { prefer: 'wait=30' });
      // Since before the ack; but no worker waits for its disk for more than a second.
      if (stack.models.text().includes('"event":"state_write_slow"')) await noted(dir, 'D', bad);
      assert.ok(isNoted(dir, 'D', bad));
      await killModels(stack);
      await stack.redis.stop('SIGKILL');
      await stack.startModels();
      for (let i = 0; i < 20; i++, asked++) {
        assert.equal((await stack.get('/v1/models', auth(bad))).status, 401);
        assert.ok([200, 500].includes((await stack.get('/v1/models', auth(good))).status));
      }
      if (onDisk) assert.equal((await stack.get('/v1/models', auth(good))).status, 200);
      await stack.startRedis();
      await until('live', async () => (await readyz(stack)).workers.every((w) => w.state === 'live'));
      await warm(stack, good);
      assert.equal((await stack.get('/v1/models', auth(bad))).status, 401);
    }
    t.diagnostic(`figure revoked, killed, started without Redis: ${asked} requests in ${rounds} rounds, 0 accepted`);
  });
});

test('a rolling restart loses no key of the disk copy', async (t) => {
  const dir = stateDir(), rolls = long ? 10 : 2;
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', {});
    const keys = [];
    for (let i = 0; i < 5; i++) keys.push(await stack.must('POST', '/keys', { name: `k${i}` }));
    for (const key of keys) await warm(stack, key);
    const diaries = () => [0, 1].map((slot) => statSync(join(dir, `keys-${slot}`)).ino);
    // Which key is in which slot's diary, as "<slot> <hash>".
    const onDisk = () => [0, 1].flatMap((slot) => {
      const text = readFileSync(join(dir, `keys-${slot}`), 'utf8');
      return keys.map((key) => createHash('sha256').update(key.secret).digest('hex'))
        .filter((hash) => text.includes(` K ${hash} `)).map((hash) => `${slot} ${hash}`);
    });
    await until('the keys on disk', () => onDisk().length === 2 * keys.length);
    for (let i = 1; i <= rolls; i++) {
      const before = diaries();
      stack.models.kill('SIGUSR2');
      await until('the roll', () => (stack.models.text().match(/"event":"roll_done"/g) ?? []).length === i);
      // Each new worker has written its diary anew.
      await until('new diaries', () => diaries().every((inode, slot) => inode !== before[slot]));
      await until(`the keys in them, after roll ${i}`, () => onDisk().length === 2 * keys.length);
    }
    await stack.models.stop();
    await stack.redis.stop('SIGKILL');
    await stack.startModels();
    for (const key of keys) await warm(stack, key);
    t.diagnostic(`figure ${rolls} rolls, then a start without Redis: ${keys.length} of ${keys.length} keys served by both workers`);
  });
});

test('a directory is for one cm-models, through rolls and kills', async () => {
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    let count = 0;
    const second = async () => {
      const other = stack.program(`second-${count++}`, join(bin, 'services/cm-models'), [],
        { CM_LISTEN: '127.0.0.1:0', CM_OPS_LISTEN: '127.0.0.1:0', CM_WORKERS: '1', CM_STATE_DIR: dir, ...stack.storeEnv() });
      assert.deepEqual(await other.exited, { code: 1, signal: null });
      assert.match(other.text(), /"event":"start_failed","what":"CM_STATE_DIR .*another cm-models has it/);
    };
    await second();
    stack.models.kill('SIGUSR2');
    await until('the roll', () => stack.models.text().includes('"event":"roll_done"'));
    await second();
    await until('both to save', async () => (await readyz(stack)).workers.every((w) => w.saved_age_ms !== null && w.save_errors === 0));
    await killModels(stack);
    await stack.startModels(); // nobody has to clean up
    await until('both to save', async () => (await readyz(stack)).workers.every((w) => w.saved_age_ms !== null));
  });
});

test('a key revoked while no worker runs is refused by those that start', async () => {
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', {});
    const key = await stack.must('POST', '/keys', { name: 'a' });
    await warm(stack, key);
    await kept(stack, dir, key.revision);
    await killModels(stack);
    await stack.must('DELETE', `/keys/${key.id}`);
    stack.options.awaitReady = false;
    await stack.startModels();
    let answer;
    await until('an answer', async () => (answer = await stack.get('/v1/models', auth(key)).catch(() => null)));
    // Before its feed is live it may still serve what it knew, by the lease; not after.
    await until('live', async () => (await readyz(stack)).workers.every((w) => w.state === 'live'));
    for (let i = 0; i < 20; i++) assert.equal((await stack.get('/v1/models', auth(key))).status, 401);
    assert.ok([200, 401, 500].includes(answer.status)); // 500: it listens before it has read a slow disk
  });
});

// No bell tells it: one would lie in its socket when it goes on, and be read before the
// request. It has to ask, and lets itself be kept from that for no more than PATIENCE_MS.
test('a worker that was stopped while a key was revoked refuses its first request', async (t) => {
  const PATIENCE_MS = 50, rounds = long ? 5 : 2, ms = long ? 10000 : 3000;
  const stack = await Stack.start({ workers: 1, models: false });
  const proxy = await RedisProxy.start(stack.redisPort);
  proxy.muted = true;
  stack.options.modelsEnv = { CM_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
  let [refused, late] = [0, 0];
  try {
    await stack.startModels();
    await stack.must('PUT', '/models/acme/one', {});
    while (refused < rounds) {
      const key = await stack.must('POST', '/keys', { name: 'a' });
      await warm(stack, key);
      const { pid } = (await readyz(stack)).workers[0];
      process.kill(stack.models.pid, 'SIGSTOP'); // or it would replace the silent one
      process.kill(pid, 'SIGSTOP');
      await stack.must('DELETE', `/keys/${key.id}`);
      let took = 0, continued;
      const first = stack.get('/v1/models', auth(key)).then((answer) => { // it lies in the queue already
        took = performance.now() - continued;
        return answer.status;
      });
      await sleep(ms);
      continued = performance.now();
      process.kill(pid, 'SIGCONT');
      const status = await first;
      if (status === 401) refused++;
      else assert.ok(took >= PATIENCE_MS && ++late < 10, `${status} after ${took} ms`); // a busy machine
      process.kill(stack.models.pid, 'SIGCONT');
      await until('it to be refused', async () => (await stack.get('/v1/models', auth(key))).status === 401);
      assert.equal((await readyz(stack)).workers[0].pid, pid);
    }
    t.diagnostic(`figure stopped for ${ms} ms while its key was revoked, no bell: ${refused} of ${refused + late} first `
      + 'requests refused, the others after the wait for an answer of Redis');
  } finally {
    await stack.stop();
    await proxy.stop();
  }
});

test('every write with wait is seen by the next read, with 30 % of the bells lost', async (t) => {
  const pairs = long ? 20000 : 1000;
  const stack = await Stack.start({ models: false });
  const proxy = await RedisProxy.start(stack.redisPort);
  proxy.loss = 0.3;
  stack.options.modelsEnv = { CM_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
  try {
    await stack.startModels();
    const key = await stack.must('POST', '/keys', { name: 'a' });
    let seen = 0;
    const started = performance.now();
    const lane = async (number) => {
      for (let i = number; i < pairs; i += 10) {
        const name = `/models/acme/lane-${number}`;
        await stack.must('PUT', name, { display_name: `Version ${i}` }, { prefer: 'wait=30' });
        const answer = await stack.get(`/v1/models/acme%2Flane-${number}`, auth(key));
        assert.equal(answer.json?.display_name, `Version ${i}`, answer.text);
        seen++;
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, number) => lane(number)));
    t.diagnostic(`figure write with wait, then read, 30 % of ${proxy.dropped + proxy.passed} bells lost: `
      + `${seen} of ${pairs} saw their write, ${((performance.now() - started) / pairs).toFixed(1)} ms a pair`);
    assert.equal(seen, pairs);
    assert.ok(proxy.dropped > 0);
  } finally {
    await stack.stop();
    await proxy.stop();
  }
});

test('without Redis known keys are served for CM_MAX_STALE_S, across a restart, and come back', async () => {
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir, CM_MAX_STALE_S: '6' } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', {});
    const key = await stack.must('POST', '/keys', { name: 'a' });
    await warm(stack, key);
    await kept(stack, dir, key.revision);
    await stack.redis.stop('SIGKILL');
    const gone = performance.now();
    const status = async () => (await stack.get('/v1/models', auth(key))).status;
    assert.equal(await status(), 200);
    await killModels(stack);
    await stack.startModels();
    if (performance.now() - gone < 3000) assert.equal(await status(), 200); // a busy machine may be late
    let passed = 0; // when the last request was sent that was let through: a stall cannot make that later
    await until('500', async () => {
      const sent = performance.now() - gone;
      if ((await status()) === 500) return true;
      passed = sent;
      return false;
    });
    const late = performance.now() - gone;
    assert.ok(late > 3000, `refused after ${late} ms`);
    assert.ok(passed < 7000, `let through after ${passed} ms`);
    for (let i = 0; i < 10; i++) assert.equal(await status(), 500); // never 401, never again 200
    assert.ok((await readyz(stack)).ready);
    await stack.startRedis();
    await until('200 again', async () => (await status()) === 200);
  });
});

test('a worker that starts against an empty or another service\'s Redis is not ready', async () => {
  const stack = await Stack.start({ admin: false, modelsEnv: {}, awaitReady: false });
  try {
    const reason = async () => (await readyz(stack)).workers.map((w) => `${w.state} ${w.reason}`);
    const all = (wanted) => until(wanted, async () => (await reason()).every((r) => r === wanted));
    await all('empty empty');
    assert.equal((await request(stack.opsUrl, { path: '/readyz' })).status, 503);
    assert.equal((await stack.get('/v1/models', { authorization: 'Bearer x' })).status, 500);
    await stack.redisCli('HSET', '{cm}:head', 'format', 'somebody else');
    await all('empty foreign');
    await stack.redisCli('HSET', '{cm}:head', 'format', '99');
    await all('empty newer_format');
    assert.equal((await request(stack.opsUrl, { path: '/readyz' })).status, 503);
  } finally {
    await stack.stop();
  }
});

test('a Redis of another history replaces nothing that came from disk', async () => {
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', {});
    const key = await stack.must('POST', '/keys', { name: 'a' });
    await warm(stack, key);
    await kept(stack, dir, key.revision);
    await killModels(stack);
    await stack.redisCli('HSET', '{cm}:head', 'epoch', '00000000000000aa');
    await stack.startModels();
    await until('suspect', async () => (await readyz(stack)).workers.every((w) => w.state === 'suspect' && w.reason === 'foreign'));
    for (let i = 0; i < 10; i++) assert.equal((await stack.get('/v1/models', auth(key))).status, 200);
    const catalog = readFileSync(join(dir, 'catalog'), 'utf8');
    await sleep(1500);
    assert.equal(readFileSync(join(dir, 'catalog'), 'utf8'), catalog);
  });
});

test('a directory that can never be used refuses the start', async () => {
  const dir = stateDir();
  const [file, open] = [join(dir, 'file'), join(dir, 'open')];
  writeFileSync(file, '');
  mkdirSync(open);
  chmodSync(open, 0o770);
  await withStack({ models: false }, async (stack) => {
    for (const [path, why] of [[join(dir, 'no/such'), 'No such file or directory'], [file, 'it is no directory'],
      [open, 'it must be ours, and no other user may write to it']]) {
      const models = stack.program(`refused-${why}`, join(bin, 'services/cm-models'), [],
        { CM_LISTEN: '127.0.0.1:0', CM_OPS_LISTEN: '127.0.0.1:0', CM_WORKERS: '1', CM_STATE_DIR: path, ...stack.storeEnv() });
      assert.deepEqual(await models.exited, { code: 1, signal: null });
      assert.ok(models.text().includes(`"event":"start_failed","what":"CM_STATE_DIR ${path}","error":"${why}"`), models.text());
    }
  });
});

test('a directory that turns bad later costs only the copy', async () => {
  const dir = stateDir();
  await withStack({ modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', {});
    const key = await stack.must('POST', '/keys', { name: 'a' });
    chmodSync(dir, 0o777);
    for (const worker of (await readyz(stack)).workers) process.kill(worker.pid, 'SIGKILL');
    await until('both refuse it', () => stack.models.text().match(/"event":"state_dir_refused".*must be ours/g)?.length >= 2);
    await until('both live', async () => (await readyz(stack)).workers.every((w) => w.state === 'live' && w.accepting));
    await warm(stack, key);
    await until('the count', async () => /^cm_state_errors_total [1-9]/m.test((await request(stack.opsUrl, { path: '/metrics' })).text));
    await stack.must('DELETE', `/keys/${key.id}`, undefined, { prefer: 'wait=10' });
    for (let i = 0; i < 20; i++) assert.equal((await stack.get('/v1/models', auth(key))).status, 401);
  });
});

test('a record that crashed a worker twice is left out by the next one, and only it', async (t) => {
  const dir = stateDir();
  await withStack({ modelsProgram: fragile, modelsEnv: { CM_STATE_DIR: dir } }, async (stack) => {
    await stack.must('PUT', '/models/acme/one', { display_name: 'first' });
    await stack.must('PUT', '/models/acme/bad', { display_name: 'good' });
    const key = await stack.must('POST', '/keys', { name: 'a' });
    await warm(stack, key);
    await kept(stack, dir, key.revision);
    const { revision } = await stack.must('PUT', '/models/acme/bad', { display_name: 'crash me' });
    await stack.must('PUT', '/models/acme/one', { display_name: 'second' });
    const crashes = () => (stack.models.text().match(/"event":"child_ended".*"signal":6/g) ?? []).length;
    await until('all to have gone past it', async () => crashes() >= 2 && (await readyz(stack)).workers
      .every((w) => w.state === 'live' && w.revision > revision && w.poisoned === 1));
    t.diagnostic(`figure a record that kills its reader: ${crashes()} crashes of 2 workers, then left out`);
    assert.ok(crashes() <= 4);
    for (let i = 0; i < 20; i++) {
      const answer = await stack.get('/v1/models', auth(key));
      assert.deepEqual(answer.json.data.map((m) => m.display_name).sort(), ['good', 'second']);
    }
    assert.match(stack.models.text(), /"event":"model_record_poisoned","id":"acme\/bad","crashes":[2-4]/);
    await until('the count', async () => /^cm_catalog_refused\{slot="0",why="poisoned"\} 1$/m.test((await request(stack.opsUrl, { path: '/metrics' })).text));
    const refusals = async () => (await stack.must('GET', '/fleet')).data.map((w) => w.poisoned);
    await until('the fleet to say so', async () => (await refusals()).join() === '1,1');
    await stack.must('PUT', '/models/acme/bad', { display_name: 'mended' }, { prefer: 'wait=30' });
    assert.equal((await stack.get('/v1/models/acme%2Fbad', auth(key))).json.display_name, 'mended');
    await until('the end of it', async () => (await refusals()).join() === '0,0');
  });
});
