// SPDX-License-Identifier: Apache-2.0
// The three servers of a comparison, on one processor: our worker (with real
// Redis and admin beside it), bare libh2o and nginx with one constant answer.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Program, Stack, freePort, request, root, until } from '../../integration/support/stack.mjs';

export const SERVER_CPU = '0';
// Whatever was started ends with us, also when we are told to stop in the middle.
const running = [];
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const program of running) program.kill('SIGKILL');
    process.exit(130);
  });
}
const noted = (program) => { running.push(program); return program; };

const pinned = (command, args) => ['taskset', ['-c', SERVER_CPU, command, ...args]];

// The whole service, one worker; Redis and the admin stay off its processor.
export class OurStack extends Stack {
  static start(options = {}) { return super.start({ workers: 1, ...options }); }

  program(name, command, args, env) {
    const [pinnedCommand, pinnedArgs] = name === 'cm-models' ? pinned(command, args) : [command, args];
    return noted(super.program(name, pinnedCommand, pinnedArgs, env));
  }

  async workerPid() {
    const { json } = await request(this.opsUrl, { path: '/readyz' });
    return json.workers[0].pid;
  }

  // The whole catalog, and the moment when the worker serves it.
  async load(models) {
    await this.must('POST', `/catalog/import?mode=replace&max_deletes=100000`, { models }, { prefer: 'wait=30' });
    if (this.options.models === false) return;
    const { revision } = await this.must('GET', '/models?limit=1').then((list) => list.data[0]);
    await until('the catalog at the worker', async () => {
      const { json } = await request(this.opsUrl, { path: '/readyz' });
      return json.workers[0].revision >= revision;
    });
  }

  async key(aliases = []) {
    return (await this.must('POST', '/keys', { name: 'bench', aliases }, { prefer: 'wait=5' })).secret;
  }
}

async function started(program, url) {
  await until(`${program.name} to answer`, async () => program.exit || (await request(url, { path: '/' })).status);
  if (program.exit) throw new Error(`${program.name} ended: ${program.text()}`);
}

// answer: {status, reason, headers: [[name, value]...], body}.
export async function startBare(dir, program, answer) {
  const port = await freePort();
  const file = join(dir, 'bare-answer');
  const head = `${answer.status} ${answer.reason}\n${answer.headers.map(([n, v]) => `${n}: ${v}\n`).join('')}\n`;
  writeFileSync(file, Buffer.concat([Buffer.from(head), answer.body]));
  const bare = noted(new Program(dir, 'bare', ...pinned(program, [`127.0.0.1:${port}`, file]), {}));
  const url = `http://127.0.0.1:${port}`;
  await started(bare, url);
  return { name: 'bare', url, h2Url: url, pid: bare.pid, stop: () => bare.stop('SIGKILL') };
}

// A constant of its own configuration cannot be longer than this.
export const NGINX_BODY_MAX = 4000;
const quoted = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

export async function startNginx(dir, answer) {
  const [port, h2Port] = [await freePort(), await freePort()];
  const type = answer.headers.find(([name]) => name === 'content-type')?.[1];
  const headers = answer.headers.filter(([name]) => name !== 'content-type')
    .map(([name, value]) => `    add_header ${name} ${quoted(value)} always;\n`).join('');
  const body = answer.body.length > 0 ? ` ${quoted(answer.body.toString('utf8'))}` : '';
  const file = join(dir, 'nginx.conf');
  writeFileSync(file, `daemon off; master_process off; worker_processes 1; pid ${dir}/nginx.pid;
error_log ${dir}/nginx.log;
events { worker_connections 4096; }
http {
  access_log off; server_tokens off; keepalive_requests 1000000000; keepalive_timeout 75; tcp_nodelay on;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${dir}/nginx-${n};`).join(' ')}
  types {} default_type '${type ?? ''}';
  server {
    listen 127.0.0.1:${port}; listen 127.0.0.1:${h2Port} http2;
${headers}    return ${answer.status}${body};
  }
}
`);
  const nginx = noted(new Program(dir, 'nginx', ...pinned('nginx', ['-p', dir, '-c', file]), {}));
  const url = `http://127.0.0.1:${port}`;
  await started(nginx, url);
  return { name: 'nginx', url, h2Url: `http://127.0.0.1:${h2Port}`, pid: nginx.pid, stop: () => nginx.stop('SIGKILL') };
}

export const benchBin = (name) => join(root, process.env.CM_BIN_DIR, 'tests/bench', name);
