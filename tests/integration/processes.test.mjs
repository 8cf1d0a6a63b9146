// SPDX-License-Identifier: Apache-2.0
// The processes of cm-models: workers that die, hang and are replaced, rolling,
// draining, starting twice. Nothing here needs a catalog: an unknown URL is a 404
// whatever the store says.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { Stack, inTime, request, root, sleep, until, within } from './support/stack.mjs';
import { responses } from './support/raw.mjs';

const NOWHERE = '/nowhere';

async function start(env = {}, workers = 2) {
  const stack = await Stack.start({ admin: false, workers, awaitReady: false,
    modelsEnv: { CM_DRAIN_TIMEOUT_S: '5', ...env } });
  await until('all workers to accept', async () => {
    const all = await detail(stack);
    return all.length === workers && all.every((w) => w.accepting);
  });
  return stack;
}

async function detail(stack) {
  return (await request(stack.opsUrl, { path: '/readyz' })).json.workers;
}

const alive = (pid) => { try { process.kill(pid, 0); return true; } catch { return false; } };
const events = (stack, name) => stack.models.text().split('\n').filter((line) => line.includes(`"event":"${name}"`))
  .map((line) => JSON.parse(line));

async function metric(stack, name) {
  const text = (await request(stack.opsUrl, { path: '/metrics' })).text;
  const line = text.split('\n').find((l) => l.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

// Open connections of all workers.
async function connections(stack) {
  const { text } = await request(stack.opsUrl, { path: '/metrics' });
  return [...text.matchAll(/^cm_http_connections\{slot="\d+"\} (\d+)/gm)].reduce((sum, m) => sum + Number(m[1]), 0);
}

// One connection that says a text: its socket, when the first bytes came, and, at its end, all
// that was answered.
function talk(port, line) {
  let text = '';
  const socket = net.connect(port, '127.0.0.1', () => socket.write(line));
  const answered = new Promise((done) => { socket.once('data', done); });
  socket.on('data', (chunk) => { text += chunk; });
  const answers = new Promise((done, fail) => {
    socket.on('error', fail);
    socket.on('close', () => done(responses(text, [])));
  });
  return { socket, answered, answers };
}

// Clients with a connection for each request, until told to stop.
function hammer(stack, clients = 8) {
  const result = { answered: 0, failed: [] };
  let going = true;
  const all = Array.from({ length: clients }, async () => {
    while (going) {
      try {
        const answer = await stack.get(NOWHERE);
        if (answer.status === 404) result.answered++;
        else result.failed.push(`status ${answer.status}`);
      } catch (error) {
        result.failed.push(error.code ?? error.message);
      }
    }
  });
  return async () => {
    going = false;
    await Promise.all(all);
    return result;
  };
}

test('a worker that dies is replaced, and its queue is served', { timeout: 180000 }, async () => {
  const stack = await start();
  try {
    const served = 'cm_http_requests_total{route="other",code="4xx"}';
    for (let i = 0; i < 20; i++) await stack.get(NOWHERE);
    const before = await detail(stack);
    for (const victim of before) {
      process.kill(victim.pid, 'SIGKILL');
      // Nobody is in the middle of a request; connections made now must be served.
      const answers = await Promise.all(Array.from({ length: 40 }, () => stack.get(NOWHERE)));
      assert.ok(answers.every((a) => a.status === 404));
      await until('a new worker', async () => {
        const now = (await detail(stack)).find((w) => w.slot === victim.slot);
        return now.accepting && now.pid !== victim.pid && now.incarnation === 2;
      });
    }
    assert.equal(await metric(stack, served), 100);
    assert.equal(await metric(stack, 'cm_child_restarts_total'), 2);
  } finally {
    await stack.stop();
  }
});

test('who keeps dying young is started again ever later', { timeout: 180000 }, async () => {
  const stack = await start({}, 1);
  try {
    for (let i = 1; i <= 4; i++) {
      const [worker] = await until('the worker', async () => {
        const all = await detail(stack);
        return all[0].incarnation === i && all[0].pid !== null && all;
      });
      process.kill(worker.pid, 'SIGKILL');
    }
    await until('the fifth', async () => (await detail(stack))[0].incarnation === 5);
    const ends = events(stack, 'child_ended').map((e) => Date.parse(e.ts));
    const starts = events(stack, 'child_started').filter((e) => e.role === 'worker').map((e) => Date.parse(e.ts));
    const delays = ends.map((end, i) => starts[i + 1] - end);
    const lives = events(stack, 'child_ended').map((e) => e.lived_ms);
    for (let i = 0, young = 0; i < delays.length; i++) {
      young = lives[i] < 2000 ? young + 1 : 0; // on a machine that stands still it may have grown old
      const due = young <= 1 ? 0 : 100 * 2 ** (young - 2); // the first one is replaced at once
      assert.ok(delays[i] >= due - 5 && delays[i] < due + 5000, `${delays}, ${lives}`);
    }
  } finally {
    await stack.stop();
  }
});

test('a worker whose loop hangs: neighbours take its connections, then it is killed', { timeout: 180000 }, async () => {
  const stack = await start();
  try {
    const [victim] = await detail(stack);
    process.kill(victim.pid, 'SIGSTOP');
    await sleep(1500); // its neighbour has noticed
    const stop = hammer(stack, 4);
    await until('its end', async () => !alive(victim.pid));
    const result = await stop();
    assert.deepEqual(result.failed, []);
    assert.ok(result.answered > 10, `${result.answered}`);
    assert.equal(events(stack, 'child_killed').length, 1);
    await until('a new worker', async () => (await detail(stack))[victim.slot].incarnation === 2);
  } finally {
    await stack.stop();
  }
});

// Silent for longer than a hung worker may be, because others have its processor all the time.
test('a worker that is given no processor is not taken for one that hangs', { timeout: 180000 }, async (t) => {
  const stack = await start({}, 1);
  const hogs = [];
  try {
    const [worker] = await detail(stack);
    const processor = /Cpus_allowed_list:.*?(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1];
    spawnSync('taskset', ['-pc', processor, String(worker.pid)]);
    spawnSync('chrt', ['--idle', '-p', '0', String(worker.pid)]);
    for (let i = 0; i < 16; i++) hogs.push(spawn('taskset', ['-c', processor, 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' }));
    let longest = 0;
    for (const end = Date.now() + 30000; longest < 8000 && Date.now() < end; await sleep(50))
      longest = Math.max(longest, (await detail(stack))[0].heartbeat_age_ms);
    for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
    await until('its next turn', async () => (await detail(stack))[0].heartbeat_age_ms < 1000, 60000);
    assert.equal((await detail(stack))[0].pid, worker.pid, stack.models.text());
    assert.equal(events(stack, 'child_killed').length, 0);
    t.diagnostic(`figure a worker without a processor: lives after ${longest} ms without a turn`);
    if (longest < 6000) t.skip('this machine gives a processor to everybody');
  } finally {
    for (const hog of hogs) hog.kill('SIGKILL');
    await stack.stop();
  }
});

test('SIGTERM: not ready at once, accepting for the delay, then 0', { timeout: 180000 }, () => inTime(3500, async (delay) => {
  const stack = await start({ CM_DRAIN_DELAY_MS: String(delay), CM_DRAIN_TIMEOUT_S: '120' });
  try {
    const begin = Date.now();
    stack.models.kill('SIGTERM');
    const seen = await within(delay, async () => {
      await until('503', async () => (await request(stack.opsUrl, { path: '/readyz' })).json?.draining);
      for (let i = 0; i < 5; i++) assert.equal((await stack.get(NOWHERE)).status, 404);
    });
    if (!seen) return false;
    await stack.models.exited;
    assert.deepEqual(stack.models.exit, { code: 0, signal: null });
    const took = Date.now() - begin;
    assert.ok(took >= delay - 2 && took < delay + 30000, `${took} ms\n${stack.models.text()}`);
    await assert.rejects(stack.get(NOWHERE), { code: 'ECONNREFUSED' });
    assert.equal(events(stack, 'child_killed').length, 0);
    return true;
  } finally {
    await stack.stop();
  }
}));

test('an idle connection ends in a drain, a busy one gets its answer', { timeout: 180000 }, async () => {
  const stack = await start({ CM_DRAIN_TIMEOUT_S: '20' });
  try {
    const idle = talk(stack.port, `GET ${NOWHERE} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const busy = talk(stack.port, `POST ${NOWHERE} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n`);
    await idle.answered;
    await until('both to be there', async () => (await connections(stack)) === 2);
    await sleep(200); // the head has been read
    stack.models.kill('SIGTERM');
    const answers = await idle.answers;
    assert.deepEqual(answers.map((a) => [a.status, a.headers.connection]), [[404, 'keep-alive']]);
    await sleep(500);
    busy.socket.write('abc');
    const [late] = await busy.answers;
    assert.equal(late.status, 404);
    assert.equal(late.headers.connection, 'close');
    await stack.models.exited;
    assert.equal(stack.models.exit.code, 0);
  } finally {
    await stack.stop();
  }
});

test('a second signal ends it at once', { timeout: 180000 }, async () => {
  const stack = await start({ CM_DRAIN_DELAY_MS: '40000', CM_DRAIN_TIMEOUT_S: '60' });
  try {
    const pids = (await detail(stack)).map((w) => w.pid);
    stack.models.kill('SIGINT');
    await until('draining', async () => events(stack, 'draining').length === 1);
    const begin = Date.now();
    stack.models.kill('SIGTERM');
    await stack.models.exited;
    assert.ok(Date.now() - begin < 20000);
    assert.equal(stack.models.exit.code, 128 + 15);
    assert.ok(pids.every((pid) => !alive(pid)));
  } finally {
    await stack.stop();
  }
});

test('a second instance does not join the port', { timeout: 180000 }, async () => {
  const stack = await start();
  try {
    const second = stack.program('second', stack.models.child.spawnfile, [], {
      CM_LISTEN: `127.0.0.1:${stack.port}`, CM_OPS_LISTEN: '127.0.0.1:0', CM_WORKERS: '2' });
    assert.deepEqual(await second.exited, { code: 1, signal: null });
    assert.match(second.text(), /"event":"start_failed".*CM_LISTEN 127\.0\.0\.1:\d+.*another cm-models/);
    const third = stack.program('third', stack.models.child.spawnfile, [], {
      CM_LISTEN: '127.0.0.1:0', CM_OPS_LISTEN: `127.0.0.1:${stack.opsPort}` });
    assert.deepEqual(await third.exited, { code: 1, signal: null });
    assert.match(third.text(), /CM_OPS_LISTEN/);
    assert.equal((await stack.get(NOWHERE)).status, 404);
  } finally {
    await stack.stop();
  }
});

test('children do not outlive a supervisor that is killed', { timeout: 180000 }, async () => {
  const stack = await start();
  try {
    const children = readFileSync(`/proc/${stack.models.pid}/task/${stack.models.pid}/children`, 'utf8')
      .trim().split(' ').map(Number);
    assert.equal(children.length, 3);
    await stack.models.stop('SIGKILL');
    await until('their end', async () => children.every((pid) => !alive(pid)));
    await stack.startModels(); // and the port is free again
    await until('it serves', async () => (await stack.get(NOWHERE)).status === 404);
  } finally {
    await stack.stop();
  }
});

test('SIGHUP is harmless', { timeout: 180000 }, async () => {
  const stack = await start();
  try {
    const before = (await detail(stack)).map((w) => w.pid);
    stack.models.kill('SIGHUP');
    for (const pid of before) process.kill(pid, 'SIGINT'); // a terminal's Ctrl-C goes to all; the supervisor decides
    await sleep(300);
    assert.deepEqual((await detail(stack)).map((w) => w.pid), before);
    assert.equal((await stack.get(NOWHERE)).status, 404);
  } finally {
    await stack.stop();
  }
});

test('the fleet forgets who has died, and counts both while a slot is rolled', { timeout: 300000 }, async () => {
  const stack = await Stack.start({ workers: 2, modelsEnv: { CM_DRAIN_TIMEOUT_S: '5' } });
  const write = () => stack.must('PATCH', '/models/vendor/m', { context_length: ++length }, { prefer: 'wait=30' });
  let length = 1000;
  try {
    await stack.must('PUT', '/models/vendor/m', { created: 1700000000 });
    // Killed again before its successor can have said anything of itself.
    const [victim] = await detail(stack);
    process.kill(victim.pid, 'SIGKILL');
    const second = await until('its successor', async () => {
      const now = (await detail(stack))[0];
      return now.incarnation === 2 && now.pid;
    });
    process.kill(second, 'SIGKILL');
    await until('two workers again', async () => {
      const now = await detail(stack);
      return now.length === 2 && now.every((w) => w.ready) && now[0].incarnation === 3;
    });
    const after = (await write()).propagation;
    assert.deepEqual([after.workers, after.applied, after.complete], [2, 2, true]);

    // Writes all through two rolls: every one is complete, and no worker is missing from its count.
    let rolling = true;
    const counts = new Set();
    const writer = (async () => {
      while (rolling) {
        const { propagation } = await write();
        assert.equal(propagation.complete, true, JSON.stringify(propagation));
        counts.add(propagation.workers);
      }
    })();
    const statuses = new Set();
    for (let i = 1; i <= 2; i++) {
      stack.models.kill('SIGUSR2');
      await until('the roll', async () => {
        statuses.add((await request(stack.opsUrl, { path: '/readyz' })).status);
        return events(stack, 'roll_done').length === i;
      }, 60000);
    }
    rolling = false;
    await writer;
    assert.deepEqual([...statuses], [200], 'ready all the time');
    assert.ok(Math.min(...counts) >= 2, `${[...counts]}`);
    const end = (await write()).propagation;
    assert.deepEqual([end.workers, end.complete], [2, true]);

    // One that hangs cannot say bye; its successor, who came before its end, says it for it.
    const [hung] = await detail(stack);
    process.kill(hung.pid, 'SIGSTOP');
    stack.models.kill('SIGUSR2');
    await until('the roll', async () => events(stack, 'roll_done').length === 3, 60000);
    assert.ok(!alive(hung.pid));
    await until('a complete write', async () => {
      const { propagation } = await write();
      return propagation.workers === 2 && propagation.complete;
    });
  } finally {
    await stack.stop();
  }
});

test('a roll without Redis keeps the workers that have a catalog', { timeout: 180000 }, async () => {
  const stack = await Stack.start({ workers: 2 });
  try {
    const all = await until('both to be ready', async () => {
      const now = await detail(stack);
      return now.every((w) => w.ready) && now;
    });
    const before = all.map((w) => w.pid);
    await stack.redis.stop('SIGKILL');
    stack.models.kill('SIGUSR2');
    await sleep(2000);
    assert.ok(before.every(alive), stack.models.text());
    const { status } = await until('a successor that waits beside the first', async () => {
      const answer = await request(stack.opsUrl, { path: '/readyz' });
      return answer.json.workers.length === 3 && answer;
    });
    assert.equal(status, 200);
    assert.ok(before.every(alive), stack.models.text());
    await stack.startRedis();
    await until('the roll', async () => events(stack, 'roll_done').length === 1);
    assert.ok(!before.some(alive));
  } finally {
    await stack.stop();
  }
});

test('settings and limits that cannot work are said before anything starts', () => {
  const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan', 'services/cm-models');
  const env = { PATH: process.env.PATH, CM_LISTEN: '127.0.0.1:0', CM_OPS_LISTEN: '127.0.0.1:0' };
  const run = (args, more = {}) => spawnSync(bin, args, { env: { ...env, ...more }, encoding: 'utf8' });
  const mistakes = run([], { CM_WORKERS: 'x', CM_POLL_MS: '1', CM_LISTN: 'y' });
  assert.equal(mistakes.status, 2);
  for (const word of ['CM_WORKERS', 'CM_POLL_MS', 'CM_LISTN', 'CM_LISTEN']) assert.match(mistakes.stderr, new RegExp(word));
  assert.equal(run(['--check-config'], { CM_WORKERS: '0' }).status, 2);
  const effective = run(['--check-config'], { CM_REDIS_PASSWORD: 'hush' });
  assert.equal(effective.status, 0);
  assert.match(effective.stdout, /^CM_LISTEN=127\.0\.0\.1:0$/m);
  assert.ok(!effective.stdout.includes('hush'));
  assert.match(run(['--version']).stdout, /^cm-models \d/);
  assert.match(run(['--help']).stdout, /CM_DRAIN_TIMEOUT_S/);
  assert.equal(run(['--nonsense']).status, 2);
  const few = spawnSync('sh', ['-c', `ulimit -n 500; exec ${bin}`], { env, encoding: 'utf8', timeout: 60000 });
  assert.equal(few.status, 1);
  assert.match(few.stderr, /"what":"CM_MAX_CONNECTIONS".*RLIMIT_NOFILE/);
  // Every slot has a socket more with TLS, held twice in each process.
  const needed = (more) => Number(/(\d+) open files are needed/.exec(spawnSync('sh', ['-c', `ulimit -n 200; exec ${bin}`],
    { env: { ...env, CM_WORKERS: '8', ...more }, encoding: 'utf8', timeout: 60000 }).stderr)[1]);
  assert.equal(needed({ CM_TLS_CERT_FILE: '/c', CM_TLS_KEY_FILE: '/k' }) - needed({}), 16);
  assert.match(run([], { CM_TLS_CERT_FILE: '/c' }).stderr, /CM_TLS_KEY_FILE: unset/);
});
