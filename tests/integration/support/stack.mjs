// SPDX-License-Identifier: Apache-2.0
// The real service for a test: redis-server, cm-admin and cm-models on free
// loopback ports in a temporary directory, ended with the test.
import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan');

export { sleep };

const isFree = (port) => new Promise((done) => {
  const probe = net.createServer();
  probe.once('error', () => done(false));
  probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
});

const given = new Set();

// A port that stays free until somebody listens there, also while its program is away: below
// those that the kernel gives to connections (ip(7), ip_local_port_range).
export async function freePort() {
  const end = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split('\t')[0]);
  if (end < 12000) throw new Error(`no ports below those of connections, which begin at ${end}`);
  for (;;) {
    const port = randomInt(10000, end);
    if (given.has(port) || !await isFree(port)) continue;
    given.add(port);
    return port;
  }
}

// Calls check every few milliseconds until it returns something truthy. Its patience is for
// machines that others load, too: how long something took is a figure, not a verdict.
export async function until(what, check, ms = 60000) {
  const deadline = Date.now() + ms;
  let last;
  while (Date.now() < deadline) {
    try {
      const value = await check();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await sleep(10);
  }
  throw new Error(`gave up waiting for ${what}${last ? `: ${last.message}` : ''}`);
}

// Runs look() and says whether it was done within `ms`: what it found, or that it failed, tells
// nothing when the machine stood still for longer.
export async function within(ms, look) {
  const deadline = performance.now() + ms;
  try {
    await look();
  } catch (error) {
    if (performance.now() < deadline) throw error;
  }
  return performance.now() < deadline;
}

// Runs attempt(ms) with ever longer times until it says that it could see what it wanted.
export async function inTime(ms, attempt) {
  for (let tries = 1; !await attempt(ms); tries++, ms *= 2)
    if (tries === 4) throw new Error(`too slow a machine to tell, even in ${ms} ms`);
}

// One program; its output goes to <dir>/<name>.log. ownGroup: it leads a process group.
export class Program {
  constructor(dir, name, command, args, env, ownGroup = false) {
    this.log = join(dir, `${name}.log`);
    this.name = name;
    const fd = openSync(this.log, 'a');
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(([key]) => !key.startsWith('CM_')));
    this.child = spawn(command, args, { stdio: ['ignore', fd, fd], env: { ...inherited, ...env }, detached: ownGroup });
    closeSync(fd);
    this.exited = new Promise((done) => {
      this.child.once('exit', (code, signal) => {
        this.exit = { code, signal };
        done(this.exit);
      });
      this.child.once('error', (error) => {
        this.exit = { error };
        done(this.exit);
      });
    });
  }

  get pid() { return this.child.pid; }
  kill(signal) { if (!this.exit) this.child.kill(signal); }
  text() { return readFileSync(this.log, 'utf8'); }

  async stop(signal = 'SIGTERM', ms = 30000) {
    this.kill('SIGCONT');
    this.kill(signal);
    const timer = setTimeout(() => this.kill('SIGKILL'), ms);
    await this.exited;
    clearTimeout(timer);
    return this.exit;
  }
}

// A request on a connection of its own (SO_REUSEPORT spreads connections over
// the workers), raw path, nothing normalised.
export function request(url, { method = 'GET', path = '', headers = {}, body, agent = false } = {}) {
  const base = new URL(url);
  return new Promise((done, fail) => {
    const req = http.request(
      { host: base.hostname, port: base.port, method, path, headers, agent, timeout: 60000 },
      (res) => {
        const chunks = [];
        res.on('data', (chunk) => chunks.push(chunk));
        res.on('error', fail);
        res.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const text = bytes.toString('utf8');
          let json;
          try { json = JSON.parse(text); } catch { json = undefined; }
          done({ status: res.statusCode, headers: res.headers, bytes, text, json });
        });
      });
    req.on('timeout', () => req.destroy(new Error(`timeout: ${method} ${path}`)));
    req.on('error', fail);
    req.end(body);
  });
}

export class Stack {
  // options: workers, models (false: no cm-models), env, adminEnv, modelsEnv,
  // modelsProgram (a path in place of the one that was built), modelsOwnGroup.
  static async start(options = {}) {
    const stack = new this();
    stack.options = options;
    stack.dir = mkdtempSync(join(tmpdir(), 'cm-test-'));
    stack.programs = [];
    try {
      await stack.startRedis();
      if (options.admin !== false) await stack.startAdmin();
      if (options.models !== false) await stack.startModels();
    } catch (error) {
      const logs = stack.programs.map((p) => `--- ${p.name}\n${p.text().slice(-4000)}`).join('\n');
      await stack.stop();
      throw new Error(`${error.message}\n${logs}`);
    }
    return stack;
  }

  program(name, command, args, env, ownGroup) {
    const started = new Program(this.dir, name, command, args, env, ownGroup);
    this.programs.push(started);
    return started;
  }

  // Redis alone, with what the last one left: for tests of what happens until all is back.
  async launchRedis(extra = []) {
    this.redisPort ??= await freePort();
    this.redis = this.program('redis', 'redis-server', [
      '--port', String(this.redisPort), '--bind', '127.0.0.1', '--dir', this.dir, '--save', '',
      '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', ...extra], {});
    await until('redis', async () => (await this.redisCli('PING')) === 'PONG');
  }

  // Redis, and an admin that runs writes to it and hears the workers: that Redis answers,
  // or the admin a read, says neither.
  async startRedis(extra) {
    const admin = this.admin && !this.admin.exit;
    if (admin) await until('the admin to miss the last Redis', async () => (await this.adminReadyz()).status === 503);
    await this.launchRedis(extra);
    if (admin) await this.adminReady();
  }

  adminReady() { return this.ready(this.admin, this.adminOpsPort); }
  adminReadyz() { return request(`http://127.0.0.1:${this.adminOpsPort}`, { path: '/readyz' }); }

  // One command by redis-cli; returns its raw output without the last line feed.
  async redisCli(...args) {
    const child = spawn('redis-cli', ['-p', String(this.redisPort), ...args]);
    let out = '';
    child.stdout.on('data', (chunk) => { out += chunk; });
    await new Promise((done) => { child.once('close', done); });
    return out.replace(/\n$/, '');
  }

  storeEnv() { return { CM_REDIS_URL: `redis://127.0.0.1:${this.redisPort}`, ...this.options.env }; }

  async startAdmin() {
    this.adminPort ??= await freePort();
    this.adminOpsPort ??= await freePort();
    this.token ??= `editor-${randomBytes(16).toString('hex')}`;
    this.viewerToken ??= `viewer-${randomBytes(16).toString('hex')}`;
    this.tokensFile = join(this.dir, 'tokens');
    this.adminState = join(this.dir, 'admin-state');
    mkdirSync(this.adminState, { recursive: true, mode: 0o700 });
    const hash = (token) => createHash('sha256').update(token).digest('hex');
    writeFileSync(this.tokensFile,
      `ci editor sha256:${hash(this.token)}\nlook viewer sha256:${hash(this.viewerToken)}\n`);
    this.admin = this.program('cm-admin', join(bin, 'admin/cm-admin'), [], {
      CM_ADMIN_LISTEN: `127.0.0.1:${this.adminPort}`,
      CM_ADMIN_OPS_LISTEN: `127.0.0.1:${this.adminOpsPort}`,
      CM_ADMIN_TOKENS_FILE: this.tokensFile,
      CM_STATE_DIR: this.adminState,
      ...this.storeEnv(),
      ...this.options.adminEnv,
    });
    await this.adminReady();
  }

  async startModels() {
    this.port ??= await freePort();
    this.opsPort ??= await freePort();
    this.models = this.program('cm-models', this.options.modelsProgram ?? join(bin, 'services/cm-models'), [], {
      CM_LISTEN: `127.0.0.1:${this.port}`,
      CM_OPS_LISTEN: `127.0.0.1:${this.opsPort}`,
      CM_WORKERS: String(this.options.workers ?? 2),
      ...this.storeEnv(),
      ...this.options.modelsEnv,
    }, this.options.modelsOwnGroup);
    if (this.options.awaitReady !== false) await this.ready(this.models, this.opsPort);
  }

  async ready(program, opsPort) {
    await until(`${program.name} to be ready`, async () => {
      if (program.exit) return true;
      const { status, json } = await request(`http://127.0.0.1:${opsPort}`, { path: '/readyz' });
      const workers = Array.isArray(json?.workers) ? json.workers : [];
      return status === 200 && json.subscription !== false && workers.every((w) => w.ready && w.accepting);
    });
    if (program.exit) throw new Error(`${program.name} ended: ${JSON.stringify(program.exit)}`);
  }

  get url() { return `http://127.0.0.1:${this.port}`; }
  get adminUrl() { return `http://127.0.0.1:${this.adminPort}`; }
  get opsUrl() { return `http://127.0.0.1:${this.opsPort}`; }

  // The public API.
  get(path, headers = {}, method = 'GET') { return request(this.url, { method, path, headers }); }

  // The admin API; body is sent as JSON unless it is a string or Buffer.
  call(method, path, body, headers = {}) {
    const raw = typeof body === 'string' || Buffer.isBuffer(body);
    const bytes = body === undefined ? undefined : raw ? body : JSON.stringify(body);
    return request(this.adminUrl, {
      method,
      path: `/admin/v1${path}`,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
        ...headers,
      },
      body: bytes,
    });
  }

  // call, and fail loudly unless it is 2xx; returns the parsed body, without the
  // "durable" that a write adds to what it shows.
  async must(method, path, body, headers) {
    const answer = await this.call(method, path, body, headers);
    if (answer.status < 200 || answer.status > 299)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    if (answer.json && 'durable' in answer.json) {
      if (method === 'GET' || !['local', 'some', 'all'].includes(answer.json.durable)) throw new Error(`${method} ${path}: durable ${answer.json.durable}`);
      delete answer.json.durable;
    }
    return answer.json;
  }

  // Everything under the prefix, as text: equal before and after = nothing changed.
  // DUMP alone shows a hash's order too, which moves by itself when it is resized.
  dump() {
    return this.redisCli('EVAL', `
      local function sorted(reply, step)
        local rows = {}
        for i = 1, #reply, step do rows[#rows + 1] = table.concat(reply, ' ', i, i + step - 1) end
        table.sort(rows)
        return table.concat(rows, '\\n')
      end
      local out = {}
      local names = redis.call('KEYS', '*')
      table.sort(names)
      for _, name in ipairs(names) do
        if not string.find(name, ':fleet', 1, true) then
          local kind, content = redis.call('TYPE', name).ok
          if kind == 'hash' then content = sorted(redis.call('HGETALL', name), 2)
          elseif kind == 'set' then content = sorted(redis.call('SMEMBERS', name), 1)
          elseif kind == 'zset' then content = sorted(redis.call('ZRANGE', name, 0, -1, 'WITHSCORES'), 2)
          else content = redis.call('DUMP', name) end
          out[#out + 1] = name .. ' ' .. redis.sha1hex(content)
        end
      end
      return table.concat(out, '\\n')`, '0');
  }

  async stop() {
    for (const program of [...this.programs].reverse()) await program.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
