// SPDX-License-Identifier: Apache-2.0
// The whole service on a Redis master with replicas and three Sentinels, all real.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stack, freePort, until } from '../../integration/support/stack.mjs';
import { ask } from './redis_cli.mjs';

const SENTINELS = 3;

export class SentinelStack extends Stack {
  service = 'cm-test';

  // options.replicas (1); options.where(name): { host, prefix } of the machine on which
  // 'redis0', 'sentinel1', ... runs, where prefix is the command that brings a program there.
  async startRedis() {
    this.nodes = [];
    this.sentinels = [];
    for (let i = 0; i <= (this.options.replicas ?? 1); i++) {
      this.nodes.push({ name: `redis${i}`, port: await freePort(), ...this.where(`redis${i}`), ...this.login() });
      await this.startNode(i, i === 0 ? null : this.nodes[0]);
    }
    this.redisPort = this.nodes[0].port;
    for (let i = 0; i < SENTINELS; i++) await this.startSentinel(i);
    await until('the Sentinels to know each other and the replicas', async () =>
      (await Promise.all(this.sentinels.map((s) => this.sentinelSees(s)))).every(Boolean), 30000);
  }

  where(name) { return this.options.where?.(name) ?? { host: '127.0.0.1', prefix: [] }; }

  login() { return {}; } // { user, password } of the test at Redis and Sentinel

  launch(node, args) {
    const [command, ...rest] = [...node.prefix, ...args];
    node.program = this.program(node.name, command, rest, {});
  }

  async startNode(i, master) {
    const node = this.nodes[i];
    const dir = join(this.dir, node.name);
    mkdirSync(dir, { recursive: true });
    this.launch(node, ['redis-server', ...this.nodeArgs(node, dir),
      ...(master ? ['--replicaof', master.host, String(master.port)] : [])]);
    await until(`${node.name} to answer`, async () => (await ask(node, 'PING')) === 'PONG');
  }

  // One that has died comes back as a replica of the one that took its place. (The Sentinels
  // learn of that one after the other.)
  async rejoin(old) {
    const master = await until('the Sentinels to name another master', async () => {
      const named = await this.master();
      return named !== old && named;
    });
    await this.startNode(this.nodes.indexOf(old), master);
  }

  nodeArgs(node, dir) {
    return ['--port', String(node.port), '--bind', node.host, '--dir', dir, '--save', '', '--appendonly', 'yes',
      '--maxmemory-policy', 'noeviction', '--repl-diskless-sync-delay', '0', '--protected-mode', 'no'];
  }

  async startSentinel(i) {
    const node = { name: `sentinel${i}`, port: await freePort(), ...this.where(`sentinel${i}`), ...this.login() };
    const file = join(this.dir, `${node.name}.conf`);
    writeFileSync(file, this.sentinelConfig(node, this.nodes[0]));
    this.launch(node, ['redis-sentinel', file]);
    this.sentinels.push(node);
    await until(`${node.name} to answer`, async () => (await ask(node, 'PING')) === 'PONG');
  }

  // A vote that was split is repeated after twice the failover-timeout.
  sentinelConfig(node, master) {
    return [`port ${node.port}`, `bind ${node.host}`, `dir ${this.dir}`, 'protected-mode no',
      `sentinel monitor ${this.service} ${master.host} ${master.port} 2`,
      `sentinel down-after-milliseconds ${this.service} 1000`,
      `sentinel failover-timeout ${this.service} 1000`, ''].join('\n');
  }

  async sentinelSees(sentinel, replicas = this.nodes.length - 1) {
    const lines = (await ask(sentinel, 'SENTINEL', 'MASTER', this.service)).split('\n');
    const field = (name) => lines[lines.indexOf(name) + 1];
    return field('num-slaves') === String(replicas) && field('num-other-sentinels') === String(SENTINELS - 1) &&
      field('flags') === 'master';
  }

  // The node that most Sentinels name.
  async master() {
    const names = await Promise.all(this.sentinels.map((s) => ask(s, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.service)));
    return this.nodes.find((n) => 2 * names.filter((text) => text === `${n.host}\n${n.port}`).length > SENTINELS);
  }

  async redisCli(...args) { return ask(await this.master() ?? this.nodes[0], ...args); }

  sentinelUrl() {
    return `redis+sentinel://${this.sentinels.map((s) => `${s.host}:${s.port}`).join(',')}/${this.service}`;
  }

  storeEnv() { return { CM_REDIS_URL: this.sentinelUrl(), ...this.options.env }; }

  // Everybody follows that master closely, and all Sentinels agree.
  settled() {
    return until('the replicas to follow', async () => {
      const master = await this.master();
      const info = master ? await ask(master, 'INFO', 'replication') : '';
      return (info.match(/state=online,offset=\d+,lag=[01]/g) ?? []).length === this.nodes.length - 1 &&
        (await Promise.all(this.sentinels.map((s) => this.sentinelSees(s)))).every(Boolean);
    }, 60000);
  }
}
