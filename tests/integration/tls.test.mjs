// SPDX-License-Identifier: Apache-2.0
// The public API over TLS: protocols, both listeners alike, sessions that every
// worker resumes, certificates and the log level replaced in place.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Stack, freePort, request, until } from './support/stack.mjs';
import { ask, curl, handshake, installCertificate, makeCertificate, shown } from './support/tls.mjs';

const WORKERS = 2, RELOADS = process.env.CM_TEST_LONG ? 50 : 6;
const MODELS = Array.from({ length: 300 }, (_, i) => ({ id: `vendor/m${i}`, created: 1700000000 + i }));
let stack, secret, port, live, first;

before(async () => {
  stack = await Stack.start({ workers: WORKERS, admin: false, models: false });
  writeFileSync(join(stack.dir, 'level'), 'info\n');
  stack.options.adminEnv = { CM_LOG_LEVEL_FILE: join(stack.dir, 'level') };
  await stack.startAdmin();
  await stack.must('POST', '/catalog/import?format=native&mode=merge', { models: MODELS });
  secret = (await stack.must('POST', '/keys', { name: 'tls' })).secret;
  first = makeCertificate(stack.dir, 'first');
  live = { certificate: join(stack.dir, 'live.crt'), key: join(stack.dir, 'live.key') };
  installCertificate(first, live);
  port = await freePort();
  stack.options.modelsEnv = {
    CM_TLS_LISTEN: `127.0.0.1:${port}`, CM_TLS_CERT_FILE: live.certificate, CM_TLS_KEY_FILE: live.key,
    CM_LOG_LEVEL_FILE: join(stack.dir, 'level'), CM_DRAIN_TIMEOUT_S: '10',
    CM_HEAD_TIMEOUT_S: '600', CM_IDLE_TIMEOUT_S: '600', // some connections say nothing for as long as a test takes
  };
  await stack.startModels();
}, { timeout: 180000 });
after(() => stack?.stop());

const auth = () => `Authorization: Bearer ${secret}`;
const events = (name) => stack.models.text().split('\n').filter((line) => line.includes(`"event":"${name}"`))
  .map((line) => JSON.parse(line));
const workers = async () => (await request(stack.opsUrl, { path: '/readyz' })).json.workers;

async function metrics(pattern) {
  const { text } = await request(stack.opsUrl, { path: '/metrics' });
  return text.split('\n').filter((line) => pattern.test(line)).map((line) => Number(line.split(' ').at(-1)));
}

// Connections held open until every worker has at least one of them; the kernel spreads them.
async function onEveryWorker(connect) {
  const open = [];
  await until('a connection on every worker', async () => {
    open.push(...await Promise.all(Array.from({ length: 8 }, connect)));
    const counts = await metrics(/^cm_http_connections\{slot="\d+"\}/);
    return counts.length === WORKERS && counts.every((n) => n > 0);
  });
  return open;
}

const end = (sockets) => { for (const socket of sockets) socket.destroy(); };

async function reload(pair) {
  const before = events('certificate_in_use').length, [taken] = await metrics(/^cm_tls_reloads_total/);
  installCertificate(pair, live);
  stack.models.kill('SIGHUP');
  await until('all workers to switch', () => events('certificate_in_use').length === before + WORKERS);
  await until('it to be counted', async () => (await metrics(/^cm_tls_reloads_total/))[0] === taken + 1);
}

test('curl speaks HTTP/2 and HTTP/1.1, and both listeners say the same', () => {
  const url = `https://127.0.0.1:${port}/v1/models`;
  const plain = curl('-H', auth(), `${stack.url}/v1/models`);
  assert.ok(plain.stdout.length > 30000);
  for (const [flag, version] of [['--http2', '2'], ['--http1.1', '1.1'], ['--no-alpn', '1.1']]) {
    const answer = curl(flag, '-H', auth(), '-w', '\n%{http_version} %{http_code}', url);
    assert.equal(answer.status, 0, answer.stderr);
    assert.equal(answer.stdout, `${plain.stdout}\n${version} 200`);
  }
  const unknown = curl('--http2', '-H', 'x-api-key: cm-x', '-w', '\n%{http_code}', url).stdout.split('\n');
  assert.equal(unknown[1], '401');
  assert.equal(JSON.parse(unknown[0]).error.type, 'authentication_error');
});

test('what is too old, or speaks another protocol, is refused', async () => {
  for (const flag of ['-tls1', '-tls1_1']) {
    const old = spawnSync('openssl', ['s_client', flag, '-cipher', 'ALL:@SECLEVEL=0', '-connect', `127.0.0.1:${port}`],
      { input: '', encoding: 'utf8' });
    assert.notEqual(old.status, 0);
    assert.match(old.stderr + old.stdout, /alert protocol version/);
  }
  await assert.rejects(handshake(port, { ALPNProtocols: ['spdy/3'] }), { code: /NO_APPLICATION_PROTOCOL/ });
  await assert.rejects(handshake(port, { ciphers: 'AES128-SHA', maxVersion: 'TLSv1.2' }), /handshake failure/);
});

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  test(`${version}: every worker resumes the sessions of every other, also after a roll`, { timeout: 180000 }, async (t) => {
    const options = { minVersion: version, maxVersion: version };
    const begun = await handshake(port, options);
    assert.equal(begun.isSessionReused(), false);
    assert.equal(await ask(begun, '/v1/models', `${auth()}\r\n`), 200);
    const session = await until('a ticket', () => begun.ticket);
    const resume = () => handshake(port, { ...options, session });
    const before = await onEveryWorker(resume);
    assert.ok(before.every((s) => s.isSessionReused()));
    const rolls = events('roll_done').length;
    stack.models.kill('SIGUSR2');
    await until('the roll', () => events('roll_done').length === rolls + 1);
    const later = await onEveryWorker(resume);
    assert.ok(later.every((s) => s.isSessionReused()));
    assert.equal(await ask(later[0], '/v1/models', `${auth()}\r\n`), 200);
    t.diagnostic(`figure ${version}: ${before.length + later.length} of ${before.length + later.length} handshakes resumed ` +
      `one session, over ${WORKERS} workers and their successors`);
    end([begun, ...before, ...later]);
  });
}

test('certificates are replaced under load: no request fails, every worker shows the new one', { timeout: 180000 }, async (t) => {
  const old = await onEveryWorker(() => handshake(port));
  assert.ok(old.every((s) => shown(s) === 'first'));
  const agent = new https.Agent({ keepAlive: true, maxSockets: 4, rejectUnauthorized: false });
  let going = true, answered = 0;
  const get = (keep) => new Promise((done, fail) => {
    https.get({ host: '127.0.0.1', port, path: '/v1/models', agent: keep ? agent : false, rejectUnauthorized: false,
      headers: { authorization: `Bearer ${secret}` } }, (res) => {
      res.resume();
      res.on('error', fail);
      res.on('end', () => { assert.equal(res.statusCode, 200); answered++; done(); });
    }).on('error', fail);
  });
  const load = [true, true, false, false].map(async (keep) => { while (going) await get(keep); });
  let current = first;
  for (let i = 0; i < RELOADS; i++) {
    current = makeCertificate(stack.dir, `next-${i}`, { rsa: i % 2 === 0, days: 40 + i });
    await reload(current);
    const now = await onEveryWorker(() => handshake(port));
    assert.ok(now.every((s) => shown(s) === current.name));
    end(now);
  }
  going = false;
  await Promise.all(load);
  agent.destroy();
  // Whoever had the first one goes on with it.
  for (const socket of old) assert.equal(await ask(socket, '/v1/models', `${auth()}\r\n`), 200);
  end(old);
  const expiry = await until('the metric', async () => {
    const all = await metrics(/^cm_tls_cert_expiry_timestamp_seconds\{slot="\d+"\}/);
    return new Set(all).size === 1 && all;
  });
  assert.equal(expiry.length, WORKERS);
  assert.ok(Math.abs(expiry[0] - (Date.now() / 1000 + (39 + RELOADS) * 86400)) < 3600);
  assert.deepEqual(await metrics(/^cm_tls_reloads_total/), [RELOADS, 0]);
  assert.ok((await workers()).every((w) => Date.parse(w.certificate_expires_at) === expiry[0] * 1000));
  t.diagnostic(`figure ${RELOADS} certificates in a row, ${answered} requests meanwhile, 0 failed`);
});

test('a certificate that cannot be used is left alone, and everybody hears why', { timeout: 180000 }, async () => {
  const good = makeCertificate(stack.dir, 'good'), other = makeCertificate(stack.dir, 'other');
  await reload(good);
  const [taken, refused] = await metrics(/^cm_tls_reloads_total/);
  const cases = [
    ['a key of another one', () => installCertificate({ certificate: good.certificate, key: other.key }, live), /does not belong/],
    ['garbage', () => writeFileSync(live.certificate, 'garbage\n'), /no certificate can be read.*live\.crt/],
    ['nothing there', () => rmSync(live.certificate), /cannot read .*live\.crt: No such file/],
  ];
  for (const [i, [name, spoil, why]] of cases.entries()) {
    spoil();
    const before = events('certificate_kept').length;
    stack.models.kill('SIGHUP');
    const line = await until(`the line about ${name}`, () => events('certificate_kept')[before]);
    assert.match(line.error, why);
    assert.deepEqual(await metrics(/^cm_tls_reloads_total/), [taken, refused + i + 1]);
  }
  // A worker that comes while the files are like that shows the good one too.
  const [victim] = await workers();
  process.kill(victim.pid, 'SIGKILL');
  await until('its successor', async () => {
    const now = (await workers())[0];
    return now.accepting && now.incarnation > victim.incarnation;
  });
  const open = await onEveryWorker(() => handshake(port));
  assert.ok(open.every((s) => shown(s) === 'good'));
  end(open);
  // Another start would not work, and says so.
  const bin = stack.models.child.spawnfile;
  const env = { PATH: process.env.PATH, CM_LISTEN: '127.0.0.1:0', CM_OPS_LISTEN: '127.0.0.1:0', CM_TLS_LISTEN: '127.0.0.1:0',
    CM_TLS_CERT_FILE: live.certificate, CM_TLS_KEY_FILE: live.key };
  const start = spawnSync(bin, [], { env, encoding: 'utf8' });
  assert.equal(start.status, 1);
  assert.match(start.stderr, /"event":"start_failed","what":"TLS","error":"CM_TLS_CERT_FILE: cannot read/);
  // All that is wrong at once.
  const check = spawnSync(bin, ['--check-config'], { encoding: 'utf8',
    env: { ...env, CM_TLS_KEY_FILE: `${live.key}.none`, CM_POLL_MS: '1' } });
  assert.equal(check.status, 2);
  assert.match(check.stderr, /CM_POLL_MS: '1'/);
  assert.match(check.stderr, /CM_TLS_CERT_FILE: cannot read .*CM_TLS_KEY_FILE: cannot read .*\.none/);
  await reload(good);
});

test('an expired certificate is shown, with a warning', { timeout: 180000 }, async () => {
  await reload(makeCertificate(stack.dir, 'stale', { days: -2 }));
  assert.equal(events('certificate_expired').length, 1);
  const socket = await handshake(port);
  assert.equal(shown(socket), 'stale');
  socket.destroy();
  await reload(first);
});

test('SIGHUP changes the log level of all processes, from its file', { timeout: 180000 }, async () => {
  const level = async (word) => {
    writeFileSync(join(stack.dir, 'level'), word);
    stack.models.kill('SIGHUP');
  };
  await level('warn\n');
  await until('the line', () => events('log_level').some((e) => e.was === 'info' && e.is === 'warn'));
  // A worker that is replaced would say certificate_in_use at info.
  const before = events('certificate_in_use').length;
  const [victim] = await workers();
  process.kill(victim.pid, 'SIGKILL');
  const next = await until('its successor', async () => {
    const now = (await workers())[0];
    return now.accepting && now.incarnation > victim.incarnation && now;
  });
  assert.equal(events('certificate_in_use').length, before);
  // Not a level: what is in force stays, and successors come all the same.
  await level('loud\n');
  const kept = await until('the refusal', () => events('log_level_kept')[0]);
  assert.match(kept.error, /CM_LOG_LEVEL: 'loud' is not one of debug\|info\|warn\|error/);
  process.kill(next.pid, 'SIGKILL');
  await until('a successor', async () => (await workers())[0].incarnation > next.incarnation && (await workers())[0].accepting);
  // cm-admin follows its file too.
  stack.admin.kill('SIGHUP');
  await until('its refusal', () => /"event":"log_level_kept".*loud/.test(stack.admin.text()));
  await level('info');
  await until('the line', () => events('log_level').some((e) => e.was === 'warn' && e.is === 'info'));
  await until('a worker that logs again', async () => {
    stack.models.kill('SIGHUP');
    return events('certificate_in_use').length > before;
  });
});
