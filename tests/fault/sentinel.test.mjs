// SPDX-License-Identifier: Apache-2.0
// A master with one replica and three Sentinels. The master is killed under load, again
// and again: known keys never notice, writes come back (within 5 s, which is a figure here
// and no verdict: others load the machine), and what was acknowledged as being on all
// replicas is never lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sleep, until } from '../integration/support/stack.mjs';
import { ask } from './support/redis_cli.mjs';
import { SentinelStack } from './support/sentinel_stack.mjs';
import { Traffic, live, warmUp, workers } from './support/traffic.mjs';

const LONG = process.env.CM_TEST_LONG === '1';
const ROUNDS = LONG ? 20 : 2;
let stack;
let secrets;

before(async () => {
  // Without a journal: it would bring back what a failover lost before we look.
  stack = await SentinelStack.start({ workers: 2, adminEnv: { CM_STATE_DIR: '' } });
  secrets = await warmUp(stack);
});
after(() => stack?.stop());

// Writes a rising number into one model, again and again; notes what was acknowledged.
class Writer {
  constructor(t) {
    t.after(() => this.stop());
    Object.assign(this, { acked: [], refused: {}, going: true });
    this.loop = this.run();
  }

  async run() {
    while (this.going) {
      const n = ++Writer.last;
      let answer;
      try {
        answer = await stack.call('PATCH', '/models/acme/one', { created: n });
      } catch (error) {
        answer = { status: error.code ?? error.message };
      }
      if (answer.status === 200) this.acked.push({ n, at: Date.now(), level: answer.json.durable });
      else this.refused[answer.status] = (this.refused[answer.status] ?? 0) + 1;
      await sleep(10);
    }
  }

  // The first write that was acknowledged after that time.
  async next(after) {
    await until('a write to be acknowledged', () => this.acked.at(-1)?.at > after);
    return this.acked.find(({ at }) => at > after).at;
  }

  // Those of the acknowledged writes that the store's log does not know.
  async lost() {
    const log = await stack.redisCli('XRANGE', '{cm}:log', '-', '+');
    return this.acked.filter(({ n }) => !log.includes(`"created":${n},`));
  }

  stop() {
    this.going = false;
    return this.loop;
  }
}

Writer.last = 0;

const created = async () => (await stack.call('GET', '/models/acme/one')).json.created;

test(`the master is killed ${ROUNDS} times under load`, { timeout: LONG ? 3600000 : 600000 }, async (t) => {
  const traffic = new Traffic(t, stack, secrets);
  const back = [];
  const caughtUp = [];
  let [acked, lost] = [0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    await stack.settled();
    await until('all workers to be live', live(stack));
    const old = await stack.master();
    const writer = new Writer(t);
    await sleep(500);
    await old.program.stop('SIGKILL');
    const killedAt = Date.now();
    back.push(await writer.next(killedAt) - killedAt);
    await until('all workers to be live', live(stack));
    caughtUp.push(Date.now() - killedAt);
    await writer.stop();
    assert.ok(await created() >= writer.acked.at(-1).n, 'the last acknowledged write is there');
    const missing = await writer.lost();
    acked += writer.acked.length;
    lost += missing.length;
    assert.deepEqual(missing.filter(({ level }) => level === 'all'), [], 'writes that were on all replicas');
    await stack.rejoin(old);
  }
  await traffic.stop();
  t.diagnostic(`figure Sentinel, master killed ${ROUNDS} times: ${traffic.warm} requests of known keys, ` +
    `${traffic.failed.length} failed, slowest ${traffic.slowest} ms`);
  t.diagnostic(`figure Sentinel: writes back after ${Math.min(...back)} to ${Math.max(...back)} ms, ` +
    `all workers live after ${Math.min(...caughtUp)} to ${Math.max(...caughtUp)} ms`);
  t.diagnostic(`figure Sentinel: of ${acked} acknowledged writes ${lost} were not on the replica, none of them told to be`);
  assert.deepEqual(traffic.failed, []);
  // The subscriptions have moved, too: of the workers (bells) and of the admin (acks).
  await until('a change to be heard everywhere', async () =>
    (await stack.call('PATCH', '/models/acme/one', { created: ++Writer.last }, { prefer: 'wait=5' })).json?.propagation?.complete);
  const wrong = traffic.unknown.filter((one) => one.status !== 401 && one.status !== 500);
  assert.deepEqual(wrong, [], 'unknown keys');
});

test('an unfit replica count refuses writes', { timeout: 240000 }, async () => {
  await stack.settled();
  const master = await stack.master();
  await until('a write to be taken', async () => (await stack.call('PATCH', '/models/acme/one', { created: 2 })).status === 200);
  await ask(master, 'CONFIG', 'SET', 'min-replicas-to-write', '2');
  const answer = await stack.call('PATCH', '/models/acme/one', { created: 1 });
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.code, 'store_unavailable');
  assert.match(answer.json.detail, /NOREPLICAS/);
  assert.ok(answer.headers['retry-after']);
  assert.equal(await created(), 2);
  await ask(master, 'CONFIG', 'SET', 'min-replicas-to-write', '0');
  assert.equal((await stack.call('PATCH', '/models/acme/one', { created: 1 })).status, 200);
});

// The replica hears nothing of the last writes, and then it is the master. Nobody has a
// journal that would bring them back.
test('what a failover loses was not said to be everywhere', { timeout: 240000 }, async (t) => {
  await stack.settled();
  const old = await stack.master();
  const [next] = stack.nodes.filter((node) => node !== old);
  await ask(next, 'CONFIG', 'SET', 'masterauth', 'nobody-takes-this');
  await ask(old, 'CLIENT', 'KILL', 'TYPE', 'replica');
  await until('the replica to be off', async () => /connected_slaves:0/.test(await ask(old, 'INFO', 'replication')));
  const writer = new Writer(t);
  await until('some writes', () => writer.acked.length >= 5);
  await old.program.stop('SIGKILL');
  await writer.next(Date.now());
  await writer.stop();
  const missing = await writer.lost();
  assert.ok(missing.length >= 5, 'nothing was lost');
  assert.deepEqual(missing.filter(({ level }) => level !== 'local'), []);
  t.diagnostic(`figure Sentinel, replica cut off, master killed: ${missing.length} of ${writer.acked.length} acknowledged ` +
    'writes were lost, all of them told to be on one node only');
  await ask(next, 'CONFIG', 'SET', 'masterauth', '');
  await stack.rejoin(old);
});

// Last: Sentinels that were stopped do not fail over for half a minute.
test('without Sentinels the replicas vouch; without both nobody does', { timeout: 300000 }, async (t) => {
  await stack.settled();
  await until('all workers to be live', live(stack));
  const master = await stack.master();
  const [replica] = stack.nodes.filter((node) => node !== master);
  const traffic = new Traffic(t, stack, secrets);
  for (const sentinel of stack.sentinels) sentinel.program.kill('SIGSTOP');
  t.after(() => { for (const sentinel of stack.sentinels) sentinel.program.kill('SIGCONT'); });
  const states = [];
  for (const end = Date.now() + 3000; Date.now() < end; await sleep(100)) states.push(...await workers(stack));
  const doubts = states.filter((w) => w.reason === 'unconfirmed').length;
  t.diagnostic(`figure Sentinels stopped for 3 s: ${doubts} of ${states.length} looks at a worker found it in doubt`);
  // They are believed for a second: without the replica there was doubt for two of the three.
  assert.ok(doubts <= states.length / 3);

  replica.program.kill('SIGSTOP');
  t.after(() => replica.program.kill('SIGCONT'));
  const stoppedAt = Date.now();
  await until('the workers to doubt', async () => (await workers(stack)).every((w) => w.reason === 'unconfirmed'));
  t.diagnostic(`figure Sentinels and the replica stopped: in doubt after ${Date.now() - stoppedAt} ms`);
  const from = Date.now();
  await traffic.unknownSince(from);
  await sleep(400);
  assert.deepEqual(Object.keys(traffic.unknownBetween(from, Date.now())), ['500']);
  replica.program.kill('SIGCONT');
  await until('all workers to be live', live(stack));
  await traffic.stop();
  assert.deepEqual(traffic.failed, []);
});
