// SPDX-License-Identifier: Apache-2.0
// cm-models under attack: the real programs on a real Redis with a catalog whose list is
// larger than any window, an honest client beside them, and what has to hold afterwards.
import assert from 'node:assert/strict';
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Stack, freePort, request, root, sleep, until } from '../../integration/support/stack.mjs';
import { certificate } from './tls_tap.mjs';

const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan');
export const GROWTH_MIB = 64;
const help = spawnSync(join(bin, 'services/cm-models'), ['--help'], { encoding: 'utf8' }).stdout;
// Short enough for a test that waits for them.
export const TIMEOUTS = Object.fromEntries(Object.entries({ CM_IDLE_TIMEOUT_S: '8', CM_HEAD_TIMEOUT_S: '5', CM_WRITE_TIMEOUT_S: '5' })
  .filter(([name]) => help.includes(name)));
const MODELS = 700;

const status = (pid, field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;

export class Edge {
  // options: env for cm-models; tls: a TLS listener too; withHttp2, fresh (opens new connections
  // too): of the honest client.
  static async start({ env = {}, withHttp2 = true, fresh = true, workers = 2, honest = true, tls = false } = {}) {
    const edge = new Edge();
    if (tls) {
      edge.dir = mkdtempSync(join(tmpdir(), 'cm-edge-'));
      edge.tlsPort = await freePort();
      const { certificate: crt, key } = certificate(edge.dir);
      env = { CM_TLS_LISTEN: `127.0.0.1:${edge.tlsPort}`, CM_TLS_CERT_FILE: crt, CM_TLS_KEY_FILE: key, ...env };
    }
    // What is freed should be seen as freed: AddressSanitizer keeps it for long otherwise.
    edge.stack = await Stack.start({ workers, modelsEnv: {
      ASAN_OPTIONS: 'quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=5:allocator_release_to_os_interval_ms=50', ...TIMEOUTS, ...env } });
    try {
      await edge.fill();
      edge.before = await edge.pids();
      if (honest) await edge.startHonest({ withHttp2, fresh });
    } catch (error) {
      await edge.stop();
      throw error;
    }
    return edge;
  }

  async fill() {
    const models = Array.from({ length: MODELS }, (_, i) => ({
      id: `vendor/model-${i}`, display_name: `Model ${i}`, created: 1700000000 + i, context_length: 128000, max_completion_tokens: 8192 }));
    await this.stack.must('POST', '/catalog/import?format=native&mode=merge', { models });
    this.secret = (await this.stack.must('POST', '/keys', { name: 'honest', aliases: [] }, { prefer: 'wait=30' })).secret;
    const headers = [['authorization', `Bearer ${this.secret}`]];
    const measure = async (path) => ({ path, headers, length: (await this.stack.get(path, Object.fromEntries(headers))).bytes.length });
    this.small = await measure('/v1/models/vendor%2Fmodel-1');
    this.large = await until('the whole list', async () => {
      const what = await measure('/v1/models');
      return what.length > 150000 && what;
    });
  }

  target(extra = {}) { return { port: this.stack.port, small: this.small, large: this.large, ...extra }; }

  async workers() { return (await request(this.stack.opsUrl, { path: '/readyz' })).json.workers; }
  async pids() { return (await this.workers()).map((w) => w.pid); }

  async startHonest({ withHttp2, fresh }) {
    this.honest = fork(new URL('./honest.mjs', import.meta.url),
      [JSON.stringify({ port: this.stack.port, small: this.small, large: this.large, withHttp2, fresh })], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(this.honest, 'message');
    await sleep(300);
    await this.cut();
  }

  // What the honest client has seen since the last cut.
  async cut() {
    if (!this.honest) return null;
    const answer = once(this.honest, 'message');
    this.honest.send('cut');
    return (await answer)[0];
  }

  // Runs the attack and asserts what has to hold whatever it is: the same workers, at most
  // `most` MiB more in each, no finding of a sanitizer, and an honest client that notices
  // nothing. Figures go to t.
  async survive(t, name, attack, { most = GROWTH_MIB } = {}) {
    const start = this.before.map((pid) => {
      writeFileSync(`/proc/${pid}/clear_refs`, '5'); // VmHWM counts from here
      return status(pid, 'VmRSS');
    });
    await this.cut();
    const from = Date.now();
    const result = await attack();
    const took = Date.now() - from;
    const log = this.stack.models.text();
    assert.deepEqual(await until('all workers to answer', () => this.pids()), this.before, `${name}: a worker died\n${log.slice(-3000)}`);
    const peaks = this.before.map((pid) => status(pid, 'VmHWM'));
    const grown = peaks.map((peak, i) => peak - start[i]);
    t.diagnostic(`figure ${name}: ${took} ms, memory ${grown.map((n, i) => `+${n.toFixed(1)} to ${peaks[i].toFixed(0)}`).join(', ')} MiB${await this.honestly(name)}`);
    assert.ok(Math.max(...grown) < most, `${name}: memory grew by ${grown} MiB`);
    assert.doesNotMatch(log, /ERROR: AddressSanitizer|runtime error|Assertion/, name);
    return result;
  }

  // What the honest client has seen, as text; its failures are the test's.
  async honestly(name) {
    if (!this.honest) return '';
    let seen = await this.cut();
    for (let i = 0; seen.answered + seen.failed.length === 0 && i < 100; i++) { // a very short attack
      await sleep(100);
      seen = await this.cut();
    }
    assert.deepEqual(seen.failed, [], `${name}: honest requests failed`);
    // Not more than where the store is out of reach for a moment while requests queue up.
    assert.ok(seen.retried <= Math.max(3, seen.answered / 100), `${name}: ${seen.retried} honest requests had to be repeated`);
    assert.ok(seen.answered > 0, `${name}: the honest client was not served`);
    return `; honest: ${seen.answered} answered${seen.retried ? `, ${seen.retried} repeated` : ''}, p50 ${seen.p50.toFixed(1)}, p99 ${seen.p99.toFixed(1)}, max ${seen.max.toFixed(0)} ms`;
  }

  async stop() {
    this.honest?.disconnect();
    await this.stack.stop();
    if (this.dir) rmSync(this.dir, { recursive: true, force: true });
  }
}
