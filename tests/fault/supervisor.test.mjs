// SPDX-License-Identifier: Apache-2.0
// Workers that are rolled, killed, stopped and told to leave under load, on both
// listeners and in every protocol: who loses what, and how long it takes.
// CM_TEST_LONG gives the counts that are promised.
import assert from 'node:assert/strict';
import { copyFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stack, bin, freePort, inTime, request, sleep, until, within } from '../integration/support/stack.mjs';
import { makeCertificate } from '../integration/support/tls.mjs';
import { describe, startLoad } from './support/load.mjs';
import { idler, reader, sender, silent, streams } from './support/slow.mjs';

const LONG = Boolean(process.env.CM_TEST_LONG);
const QUIET_MS = 1000;
const LATE_MS = 20000; // what a machine that stands still now and then may add to a time that is kept
const MODELS = Array.from({ length: 40 }, (_, i) => ({ id: `vendor/m${i}`, created: 1700000000 + i }));

const events = (stack, name) => stack.models.text().split('\n').filter((line) => line.includes(`"event":"${name}"`))
  .map((line) => JSON.parse(line));
const detail = async (stack) => (await request(stack.opsUrl, { path: '/readyz' })).json.workers;
async function metric(stack, name) {
  const { text } = await request(stack.opsUrl, { path: '/metrics' });
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ').at(-1));
}

const alive = (pid) => { try { process.kill(pid, 0); return true; } catch { return false; } };

async function start(env = {}, models = MODELS, options = {}) {
  const stack = await Stack.start({ workers: 2, models: false, ...options });
  stack.options.modelsProgram = join(stack.dir, 'cm-models');
  copyFileSync(join(bin, 'services/cm-models'), stack.options.modelsProgram);
  stack.certificate = makeCertificate(stack.dir, 'localhost');
  stack.tlsPort = await freePort();
  await stack.must('POST', '/catalog/import?format=native&mode=merge', { models });
  stack.secret = (await stack.must('POST', '/keys', { name: 'load' })).secret;
  stack.options.modelsEnv = { CM_TLS_LISTEN: `127.0.0.1:${stack.tlsPort}`, CM_TLS_CERT_FILE: stack.certificate.certificate,
    CM_TLS_KEY_FILE: stack.certificate.key, CM_DRAIN_TIMEOUT_S: '8', ...env };
  await stack.startModels();
  return stack;
}

const load = (stack, options = {}) => startLoad({ bases: [stack.url, `https://127.0.0.1:${stack.tlsPort}`],
  path: '/v1/models', headers: { authorization: `Bearer ${stack.secret}` }, ...options });

test('rolling restarts under every kind of load lose nothing', { timeout: 900000 }, async (t) => {
  const rolls = LONG ? 50 : 4;
  const stack = await start();
  try {
    const clients = load(stack);
    for (let i = 1; i <= rolls; i++) {
      stack.models.kill('SIGUSR2');
      await until('the roll', () => events(stack, 'roll_done').length === i, 120000);
    }
    const result = await clients.stop();
    // A drain gives a second to who has connected and is silent: a client of a machine that
    // stands still may need longer to say its first word.
    assert.deepEqual(result.failed.filter(({ began, ended }) => ended - began < QUIET_MS), []);
    // HTTP/1 cannot say that a request came too late on a kept connection; HTTP/2 can.
    for (const [kind, { lost }] of Object.entries(result.kinds))
      assert.ok(lost === 0 || kind.startsWith('HTTP/1 keep-alive'), describe(result));
    assert.ok(Object.values(result.kinds).every(({ answered }) => answered > 0), describe(result));
    const left = events(stack, 'left').filter((e) => e.instance !== 'ops');
    assert.equal(left.length, 2 * rolls);
    assert.ok(left.every((e) => e.requests > 0), 'a worker that served nobody');
    assert.deepEqual((await detail(stack)).map((w) => w.incarnation), [rolls + 1, rolls + 1]);
    // Counted is every answer, by workers that have long gone too; and, as they were made, perhaps those that did not arrive.
    const sum = (what) => Object.values(result.kinds).reduce((total, kind) => total + kind[what], 0);
    const counted = () => metric(stack, 'cm_http_requests_total{route="list",code="2xx"}');
    await until('the counters', async () => await counted() >= sum('answered'));
    assert.ok(await counted() <= sum('answered') + sum('lost') + result.failed.length);
    assert.equal(await metric(stack, 'cm_child_restarts_total'), 0);
    t.diagnostic(`figure ${rolls} rolls of 2 workers, ${result.failed.length} failed: ${describe(result)}; every worker served`);
  } finally {
    await stack.stop();
  }
});

test('a killed worker costs what was in flight on it, and is there again at once', { timeout: 600000 }, async (t) => {
  const kills = LONG ? 50 : 8;
  const stack = await start();
  try {
    const clients = load(stack);
    const times = [], killed = [];
    for (let i = 0; i < kills; i++) {
      await sleep(1000);
      const victim = (await detail(stack))[i % 2];
      const at = performance.now();
      process.kill(victim.pid, 'SIGKILL');
      await until('its successor', async () => {
        const now = (await detail(stack))[i % 2];
        return now.ready && now.accepting && now.incarnation === victim.incarnation + 1;
      });
      const back = performance.now();
      killed.push({ at, back });
      times.push(back - at);
    }
    const result = await clients.stop();
    // One client has one request at a time: what failed had begun before a worker was replaced.
    for (const failed of result.failed)
      assert.ok(killed.some(({ at, back }) => failed.began <= back && failed.ended >= at), JSON.stringify({ failed, killed }));
    assert.ok(result.failed.length <= kills * 12, `${result.failed.length}`);
    times.sort((a, b) => a - b);
    t.diagnostic(`figure ${kills} x kill -9: ready again after p50 ${times[kills >> 1].toFixed(0)} ms, max ${times.at(-1).toFixed(0)} ms; ` +
      `${result.failed.length} requests in flight lost, ${describe(result)}`);
  } finally {
    await stack.stop();
  }
});

test('SIGTERM ends in time and with 0 although a worker is stuck', { timeout: 240000 }, async (t) => {
  const stack = await start({ CM_DRAIN_TIMEOUT_S: '4' });
  try {
    const [stuck] = await detail(stack);
    process.kill(stuck.pid, 'SIGSTOP');
    const begin = performance.now();
    stack.models.kill('SIGTERM');
    await stack.models.exited;
    const took = performance.now() - begin;
    assert.deepEqual(stack.models.exit, { code: 0, signal: null });
    assert.ok(!alive(stuck.pid));
    assert.equal(events(stack, 'child_killed').length, 1);
    assert.equal(events(stack, 'left').length, 1); // its sibling said goodbye
    t.diagnostic(`figure a drain of 4 s with a stopped worker took ${(took / 1000).toFixed(2)} s`);
    assert.ok(took < 4000 + LATE_MS, `${took}`); // for ever, if nobody minded
  } finally {
    await stack.stop();
  }
});

// As systemd and timeout(1) do it: every process of the service is signalled, some twice.
for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} to the whole process group is a drain like any other`, { timeout: 240000 }, (t) => inTime(4000, async (delay) => {
    const stack = await start({ CM_DRAIN_DELAY_MS: String(delay), CM_DRAIN_TIMEOUT_S: '120' }, MODELS, { modelsOwnGroup: true });
    try {
      const post = 'POST /v1/models HTTP/1.1\r\nHost: x\r\n';
      const senders = Array.from({ length: 12 }, (_, i) => sender(i % 2 ? stack.tlsPort : stack.port, i % 2 === 1, post, 1000));
      await until('all to be there', async () => {
        const { text } = await request(stack.opsUrl, { path: '/metrics' });
        return [...text.matchAll(/^cm_http_connections\{slot="\d+"\} (\d+)/gm)].reduce((sum, m) => sum + Number(m[1]), 0) >= 12;
      });
      await sleep(300);
      const fleet = async () => (await stack.must('GET', '/fleet')).data;
      assert.equal((await fleet()).length, 2);
      const begin = performance.now();
      stack.models.kill(signal);
      process.kill(-stack.models.pid, signal);
      const seen = await within(delay, async () => {
        await until('503', async () => (await request(stack.opsUrl, { path: '/readyz' })).json?.draining);
        for (let i = 0; i < 10; i++)
          assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${stack.secret}` })).status, 200);
      });
      if (!seen) {
        for (const made of senders) made.destroy();
        return false;
      }
      await until('the delay', () => events(stack, 'draining').length === 3); // the supervisor's line and each worker's
      assert.ok(performance.now() - begin >= delay);
      for (const made of senders) made.complete();
      const ends = await Promise.all(senders.map((made) => made.done));
      assert.deepEqual(ends.map(({ answers }) => answers.map(({ status }) => status)), senders.map(() => [405]));
      await stack.models.exited;
      const took = performance.now() - begin;
      assert.deepEqual(stack.models.exit, { code: 0, signal: null });
      const ended = events(stack, 'child_ended');
      assert.deepEqual(ended.map(({ asked, status }) => [asked, status]), Array(3).fill([true, 0]));
      await until('each to have said bye', async () => (await fleet()).length === 0);
      t.diagnostic(`figure ${signal} to the group, CM_DRAIN_DELAY_MS ${delay}: ended after ${(took / 1000).toFixed(2)} s, 12 of 12 requests in flight answered`);
      return true;
    } finally {
      await stack.stop();
    }
  }));
}

// Nothing but whole right answers, and pieces of right ones where a client was cut.
function judge({ kind, answers, rest }, list) {
  for (const { status, body } of answers) {
    if (kind === 'sender') assert.equal(status, 405);
    else assert.equal(status, 200);
    if (kind !== 'sender') assert.ok(body === list, `${kind}: ${body.length} of ${list.length} bytes`);
  }
  if (rest === '') return;
  const head = rest.indexOf('\r\n\r\n');
  assert.match(rest, /^HTTP\/1\.1 (200|405) /);
  if (head >= 0) assert.ok(list.startsWith(rest.slice(head + 4)), `${kind}: a wrong piece`);
}

test('SIGTERM with 100 slow clients: all are finished or cut, none is answered wrongly', { timeout: 240000 }, async (t) => {
  const many = Array.from({ length: 3000 }, (_, i) => ({ id: `vendor/m${i}`, created: 1700000000 + i }));
  const stack = await start({ CM_DRAIN_TIMEOUT_S: '6' }, many);
  try {
    const authorization = `Bearer ${stack.secret}`;
    const ask = `GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`;
    const post = 'POST /v1/models HTTP/1.1\r\nHost: x\r\n';
    const list = (await stack.get('/v1/models', { authorization })).text;
    const clients = [];
    for (let i = 0; i < 50; i++) {
      const secure = i % 2 === 1, port = secure ? stack.tlsPort : stack.port;
      if (i < 16) clients.push(reader(port, secure, ask, 16));
      else if (i < 32) clients.push(sender(port, secure, post, 1000));
      else clients.push(idler(port, secure, ask));
    }
    for (let i = 0; i < 20; i++) clients.push(silent(i % 2 ? stack.port : stack.tlsPort));
    for (let i = 0; i < 30; i++)
      clients.push(streams(i % 2 ? stack.url : `https://127.0.0.1:${stack.tlsPort}`, { ':path': '/v1/models', authorization }, 4));
    await until('all to be there', async () => {
      const { text } = await request(stack.opsUrl, { path: '/metrics' });
      const open = [...text.matchAll(/^cm_http_connections\{slot="\d+"\} (\d+)/gm)].map((m) => Number(m[1]));
      return open.reduce((a, b) => a + b, 0) >= 100;
    });
    await sleep(500);
    const begin = performance.now();
    stack.models.kill('SIGTERM');
    await sleep(300);
    // Every second one of those that can comes to an end now; the others go on being slow.
    for (const [i, made] of clients.entries()) {
      if (i % 4 >= 2) continue;
      made.complete?.();
      made.resume?.();
      if (made.kind === 'reader') made.socket.resume();
    }
    await stack.models.exited;
    const took = performance.now() - begin;
    assert.deepEqual(stack.models.exit, { code: 0, signal: null });
    assert.ok(took < 6000 + LATE_MS, `${took}`); // the slowest of them would take 100 s
    for (const made of clients) { made.socket?.resume(); made.resume?.(); }
    // Nothing more can come; who has not noticed that (node's HTTP/2 does not always) is told.
    const over = setTimeout(() => { for (const made of clients) made.destroy(); }, 5000);
    const ends = await Promise.all(clients.map(async (made) => ({ kind: made.kind, ...await made.done })));
    clearTimeout(over);
    for (const end of ends) judge(end, list);
    const whole = ends.reduce((sum, { answers }) => sum + answers.length, 0);
    const pieces = ends.filter(({ rest }) => rest !== '').length;
    assert.ok(ends.filter(({ kind, answers }) => kind === 'sender' && answers.length === 1).length >= 4);
    assert.ok(ends.filter(({ kind, answers }) => kind === 'streams' && answers.length === 4).length >= 8);
    t.diagnostic(`figure 100 slow clients, CM_DRAIN_TIMEOUT_S 6: left after ${(took / 1000).toFixed(2)} s with 0; ` +
      `${whole} answers whole, ${pieces} cut, 0 wrong`);
  } finally {
    await stack.stop();
  }
});

test('a roll takes the program that is at its path, if that can start', { timeout: 240000 }, async () => {
  const stack = await start();
  const at = stack.options.modelsProgram;
  const files = async () => (await detail(stack)).map((w) => statSync(`/proc/${w.pid}/exe`).ino);
  const put = (from) => { copyFileSync(from, `${at}.new`); renameSync(`${at}.new`, at); };
  const roll = async (outcome) => {
    const count = events(stack, outcome).length;
    stack.models.kill('SIGUSR2');
    return until(outcome, () => events(stack, outcome)[count], 120000);
  };
  try {
    const [old] = await files();
    put(join(bin, 'services/cm-models'));
    const fresh = statSync(at).ino;
    assert.notEqual(fresh, old);
    await roll('roll_done');
    assert.deepEqual(await files(), [fresh, fresh]);
    const ops = events(stack, 'child_started').filter((e) => e.role === 'ops').at(-1);
    assert.equal(ops.incarnation, 2);
    assert.equal(statSync(`/proc/${ops.pid}/exe`).ino, fresh);

    // Another program, no program, nothing: the workers stay, and who dies comes back.
    const before = (await detail(stack)).map((w) => w.pid);
    put(join(bin, 'admin/cm-admin'));
    assert.match((await roll('roll_given_up')).why, /ended/);
    writeFileSync(`${at}.new`, 'not a program\n', { mode: 0o755 });
    renameSync(`${at}.new`, at);
    await roll('roll_given_up');
    assert.ok(events(stack, 'exec_failed').length === 1 || events(stack, 'child_ended').some((e) => e.status === 127));
    rmSync(at);
    assert.match((await roll('roll_refused')).error, /No such file/);
    const now = await detail(stack);
    assert.deepEqual(now.map((w) => w.pid), before);
    process.kill(before[0], 'SIGKILL');
    await until('its successor', async () => {
      const next = (await detail(stack))[0];
      return next.ready && next.accepting && next.pid !== before[0];
    });
    assert.deepEqual(await files(), [fresh, fresh]);
    assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${stack.secret}` })).status, 200);

    put(join(bin, 'services/cm-models'));
    await roll('roll_done');
    assert.ok((await files()).every((ino) => ino !== fresh));
  } finally {
    await stack.stop();
  }
});

test('a program of another layout says so and ends', async () => {
  const stack = await Stack.start({ admin: false, models: false });
  try {
    const child = stack.program('child', join(bin, 'services/cm-models'), ['--worker', '1.other', '0123abcd-0-2', '-', '0'], {});
    assert.deepEqual(await child.exited, { code: 2, signal: null });
    assert.match(child.text(), /"event":"other_build".*restart of the whole/);
  } finally {
    await stack.stop();
  }
});
