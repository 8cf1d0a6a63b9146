// SPDX-License-Identifier: Apache-2.0
// Clients that go on while something breaks: a warm key that must be served whole
// lists throughout, and a revoked one that must never be.
import { request, sleep, until } from '../../integration/support/stack.mjs';

export class Witness {
  // models: how many entries the warm key's list has.
  constructor(stack, { warm, revoked, models }) {
    this.stack = stack;
    this.warm = warm;
    this.revoked = revoked;
    this.models = models;
    this.tally = { warm_good: 0, warm_bad: 0, revoked_refused: 0, revoked_accepted: 0, revoked_unknown: 0 };
  }

  list(secret) { return request(this.stack.url, { path: '/v1/models', headers: { authorization: `Bearer ${secret}` } }); }

  // Both keys into every worker's memory; each request has a connection of its own.
  async warmUp() {
    for (let i = 0; i < 40; i++)
      for (const secret of [this.warm, this.revoked])
        if (secret) await until('a warm key', async () => (await this.list(secret)).status === 200);
  }

  start() {
    this.over = false;
    this.loops = [1, 2].map(() => this.run());
  }

  note(what, answer) {
    this.tally[what]++;
    if (what.endsWith('bad') || what.endsWith('accepted')) this.first ??= `${what}: ${answer.status ?? ''} ${String(answer.text ?? answer).slice(0, 200)}`;
  }

  async run() {
    while (!this.over) {
      const warm = await this.list(this.warm).catch((error) => error);
      this.note(warm.status === 200 && warm.json.data.length >= this.models ? 'warm_good' : 'warm_bad', warm);
      if (this.revoked) {
        const revoked = await this.list(this.revoked).catch((error) => error);
        this.note(revoked.status === 401 ? 'revoked_refused' : revoked.status === 200 ? 'revoked_accepted' : 'revoked_unknown', revoked);
      }
      await sleep(5);
    }
  }

  async stop() {
    this.over = true;
    await Promise.all(this.loops ?? []);
    return this.tally;
  }
}
