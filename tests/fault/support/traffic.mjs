// SPDX-License-Identifier: Apache-2.0
// Requests that go on while something breaks: of known keys on many connections, and
// of keys that nobody has.
import { randomBytes } from 'node:crypto';
import { request, sleep, until } from '../../integration/support/stack.mjs';

const bearer = (key) => ({ authorization: `Bearer ${key}` });

export const MODEL = '/v1/models/acme/one';

// The state of each worker, as /readyz has it.
export async function workers(stack) {
  return (await request(stack.opsUrl, { path: '/readyz' })).json.workers;
}

export const live = (stack) => async () => (await workers(stack)).every((w) => w.state === 'live');

// A model, keys, and workers that know both. Returns the keys' secrets.
export async function warmUp(stack, count = 8) {
  await stack.must('PUT', '/models/acme/one', {});
  const secrets = [];
  for (let i = 0; i < count; i++)
    secrets.push((await stack.must('POST', '/keys', { name: `warm ${i}` }, { prefer: 'wait=30' })).secret);
  await until('all workers to be live', live(stack));
  // Each request is on a connection of its own, so all workers get to know all keys.
  for (let round = 0; round < 24; round++)
    await Promise.all(secrets.map((secret) => stack.get(MODEL, bearer(secret))));
  return secrets;
}

export class Traffic {
  // Ends with the test t, however that ends.
  constructor(t, stack, secrets) {
    t.after(() => this.stop());
    Object.assign(this, { stack, secrets, warm: 0, slowest: 0, failed: [], unknown: [], going: true });
    this.loops = [...secrets.map((secret) => this.ask(secret)), this.askUnknown(), this.askUnknown()];
  }

  async one(headers) {
    const at = Date.now();
    let status;
    try {
      ({ status } = await this.stack.get(MODEL, headers));
    } catch (error) {
      status = error.message;
    }
    return { at, status, ms: Date.now() - at };
  }

  async ask(secret) {
    while (this.going) {
      const answer = await this.one(bearer(secret));
      this.warm++;
      this.slowest = Math.max(this.slowest, answer.ms);
      if (answer.status !== 200) this.failed.push(answer);
      await sleep(4);
    }
  }

  async askUnknown() {
    while (this.going) {
      this.unknown.push(await this.one(bearer(`cm-nobody-${randomBytes(12).toString('hex')}`)));
      await sleep(20);
    }
  }

  async stop() {
    this.going = false;
    await Promise.all(this.loops);
  }

  // How the unknown keys were answered that were sent and answered between two times, by
  // status. (Who was sent before the end and answered after it may have met a stall.)
  unknownBetween(from, to) {
    const counts = {};
    for (const { at, ms, status } of this.unknown)
      if (at >= from && at + ms < to) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  // An unknown key was asked for, and answered, since then.
  unknownSince(from) {
    return until('an unknown key to be answered', () => this.unknown.some(({ at }) => at >= from));
  }
}
