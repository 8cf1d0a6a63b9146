// SPDX-License-Identifier: Apache-2.0
// deploy/redis/tls: what rediss:// is refused in favour of works as it is shipped, and
// trusts only the Redis that it should.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { Stack, freePort, root, until } from './support/stack.mjs';

class TlsStack extends Stack {
  async launchRedis() {
    this.tlsPort = await freePort();
    const [cert, key] = this.certificate('redis');
    await super.launchRedis(['--tls-port', String(this.tlsPort), '--tls-cert-file', cert, '--tls-key-file', key,
      '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no']);
    await this.startProxy('proxy', cert);
  }

  // One that signs itself, for localhost.
  certificate(name) {
    const [cert, key] = [join(this.dir, `${name}.pem`), join(this.dir, `${name}.key`)];
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
      '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert]);
    assert.equal(made.status, 0, String(made.stderr));
    return [cert, key];
  }

  async startProxy(name, ca) {
    const file = join(this.dir, `${name}.cfg`);
    this.socket = join(this.dir, `${name}.sock`);
    writeFileSync(file, readFileSync(join(root, 'deploy/redis/tls/haproxy.cfg'), 'utf8')
      .replaceAll('REDIS_HOST:6380', `localhost:${this.tlsPort}`).replaceAll('REDIS_HOST', 'localhost')
      .replaceAll('CA_FILE', ca).replaceAll('/run/cm-redis/redis.sock', this.socket));
    this[name] = this.program(name, 'haproxy', ['-db', '-f', file], {});
    await until(`${name} to listen`, () => existsSync(this.socket));
  }

  storeEnv() { return { CM_REDIS_URL: `unix://${this.socket}` }; }
}

let stack;
after(() => stack?.stop());

test('the service works over the proxy, and comes back after it', { timeout: 240000 }, async () => {
  stack = await TlsStack.start({ workers: 1 });
  const { secret } = await stack.must('POST', '/keys', { name: 'tls' }, { prefer: 'wait=30' });
  await stack.must('PUT', '/models/acme/one', {}, { prefer: 'wait=30' });
  const headers = { authorization: `Bearer ${secret}` };
  assert.equal((await stack.get('/v1/models/acme/one', headers)).status, 200);
  await stack.proxy.stop('SIGKILL');
  assert.equal((await stack.get('/v1/models/acme/one', headers)).status, 200);
  await stack.startProxy('proxy', join(stack.dir, 'redis.pem'));
  await until('a write to be everywhere', async () =>
    (await stack.call('PUT', '/models/acme/one', { created: Date.now() % 1e9 }, { prefer: 'wait=1' })).json?.propagation?.complete);
});

test('a Redis with a certificate of another authority is not spoken to', { timeout: 240000 }, async () => {
  await stack.startProxy('strict', stack.certificate('other')[0]);
  const answer = spawnSync('redis-cli', ['-s', stack.socket, 'PING'], { encoding: 'utf8', timeout: 5000 });
  assert.doesNotMatch(answer.stdout, /PONG/);
});

test('rediss:// says how', () => {
  const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan');
  const run = spawnSync(join(bin, 'services/cm-models'), ['--check-config'],
    { encoding: 'utf8', env: { PATH: process.env.PATH, CM_REDIS_URL: 'rediss://redis.example' } });
  assert.notEqual(run.status, 0);
  assert.match(run.stderr, /CM_REDIS_URL: rediss:\/\/ .*deploy\/redis\/tls/);
});
