// SPDX-License-Identifier: Apache-2.0
// deploy/redis/sentinel as it is shipped: users with no more rights than they need, on
// Redis and on the Sentinels. Replication, a failover and both programs must work with
// them.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { root, until } from '../integration/support/stack.mjs';
import { ask } from './support/redis_cli.mjs';
import { SentinelStack } from './support/sentinel_stack.mjs';
import { Traffic, live, warmUp } from './support/traffic.mjs';

const shipped = (name) => readFileSync(join(root, 'deploy/redis', name), 'utf8');
const ROLES = ['admin', 'models', 'replica', 'sentinel'];

class ShippedStack extends SentinelStack {
  service = 'cm';
  secrets = Object.fromEntries(ROLES.map((role) => [role, randomBytes(16).toString('hex')]));

  // The placeholders of the shipped files, filled in.
  fill(text, more = {}) {
    const words = { ...more };
    for (const [role, secret] of Object.entries(this.secrets)) {
      words[`${role.toUpperCase()}_PASSWORD`] = secret;
      words[`${role.toUpperCase()}_SHA256`] = createHash('sha256').update(secret).digest('hex');
    }
    const filled = text.replace(/@([A-Z0-9_]+)@/g, (whole, name) => words[name] ?? whole);
    assert.doesNotMatch(filled.replace(/^\s*#.*$/gm, ''), /@[A-Z0-9_]+@/);
    return filled;
  }

  // The administrator of the test, who may do all; the shipped users have him not.
  login() { return { user: 'test', password: 'test' }; }

  nodeArgs(node, dir) {
    const tester = 'user test on >test ~* &* +@all\n';
    writeFileSync(join(dir, 'users.acl'), this.fill(shipped('users.acl.in') + shipped('sentinel/users.acl.in')) + tester);
    const conf = shipped('redis.conf').replace(/^(bind|port|dir|aclfile) .*$/gm, '') + this.fill(shipped('sentinel/redis.conf'));
    const file = join(dir, 'redis.conf');
    writeFileSync(file, `${conf}\nbind ${node.host}\nport ${node.port}\ndir ${dir}\naclfile ${join(dir, 'users.acl')}\n`);
    return [file];
  }

  sentinelConfig(node, master) {
    const text = this.fill(shipped('sentinel/sentinel.conf'), { MASTER_HOST: master.host })
      .replace(/^port .*$/m, `port ${node.port}`).replace(/^dir .*$/m, `dir ${this.dir}`)
      .replace(/^(sentinel monitor cm \S+) 6379/m, `$1 ${master.port}`);
    return `${text}user test on >test ~* &* +@all\nbind ${node.host}\n`;
  }

  urlOf(user) { return this.sentinelUrl().replace('://', `://cm-${user}:${this.secrets[user]}@`); }

  program(name, command, args, env) {
    const user = { 'cm-admin': 'admin', 'cm-models': 'models' }[name];
    return super.program(name, command, args, user ? { ...env, CM_REDIS_URL: this.urlOf(user) } : env);
  }
}

let stack;
let secrets;
before(async () => {
  stack = await ShippedStack.start({ workers: 1 });
  secrets = await warmUp(stack, 2);
});
after(() => stack?.stop());

test('a failover with the shipped configuration', { timeout: 400000 }, async (t) => {
  const traffic = new Traffic(t, stack, secrets);
  await stack.settled();
  const old = await stack.master();
  await old.program.stop('SIGKILL');
  const killedAt = Date.now();
  await until('the workers to be live on the other', async () => ![undefined, old].includes(await stack.master()) && live(stack)());
  // min-replicas-to-write: alone it takes no write, and says so.
  // (Until its link is there, for another reason.)
  await until('the write to be refused for want of a replica', async () => {
    const refused = await stack.call('PATCH', '/models/acme/one', { created: 7 });
    assert.equal(refused.status, 503, refused.text);
    return /NOREPLICAS/.test(refused.json.detail);
  });
  await stack.rejoin(old);
  await until('a write to be taken', async () => (await stack.call('PATCH', '/models/acme/one', { created: 7 })).status === 200);
  t.diagnostic(`figure shipped Sentinel configuration: a write with a replica again after ${Date.now() - killedAt} ms`);
  await traffic.stop();
  assert.deepEqual(traffic.failed, []);
  await stack.settled();
});

test('nobody was refused anything that he needs', { timeout: 120000 }, async () => {
  for (const server of [...stack.nodes, ...stack.sentinels])
    assert.equal(await ask(server, 'ACL', 'LOG'), '', `${server.name}: its ACL LOG`);
});

test('a program may do nothing else at a Sentinel', { timeout: 120000 }, async () => {
  const [sentinel] = stack.sentinels;
  for (const role of ['models', 'admin']) {
    const as = { ...sentinel, user: `cm-${role}`, password: stack.secrets[role] };
    assert.match(await ask(as, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'cm'), /^127\.0\.0\.1\n/);
    for (const command of ['SENTINEL FAILOVER cm', 'SENTINEL REMOVE cm', 'SENTINEL SET cm quorum 1', 'SHUTDOWN', 'ACL LIST'])
      assert.match(await ask(as, ...command.split(' ')), /NOPERM/, `${role}: ${command}`);
  }
  assert.match(await ask({ ...sentinel, user: undefined }, 'PING'), /NOAUTH/);
});
