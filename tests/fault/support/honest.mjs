// SPDX-License-Identifier: Apache-2.0
// An honest client beside an attack, in a process of its own, so that a busy attacker
// does not slow its clock: HTTP/1.1 on kept and on new connections, HTTP/2, small
// answers and whole lists, in a steady rhythm. Forked by edge.mjs; each message from
// there cuts a piece off: how many answers since the last one, what failed, how long.
import http from 'node:http';
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

const { port, small, large, withHttp2, fresh } = JSON.parse(process.argv[2]);
const PATIENCE_MS = 30000, REST_MS = 5;
const RETRIES = 2, RETRY_MS = 500;
let times = [], failed = [], retried = 0;

function overHttp1(agent, { path, headers, length }) {
  return new Promise((done, fail) => {
    const req = http.get({ host: '127.0.0.1', port, agent, path, headers: Object.fromEntries(headers), timeout: PATIENCE_MS }, (res) => {
      let got = 0;
      res.on('data', (chunk) => { got += chunk.length; });
      res.on('error', fail);
      res.on('end', () => (res.statusCode === 200 && got === length ? done() : fail(new Error(`${res.statusCode}, ${got} bytes`))));
    });
    req.on('timeout', () => req.destroy(new Error('timeout')));
    req.on('error', fail);
  });
}

function overHttp2(session, { path, headers, length }) {
  return new Promise((done, fail) => {
    const stream = session.request({ ':path': path, ...Object.fromEntries(headers) });
    let got = 0, status;
    stream.setTimeout(PATIENCE_MS, () => stream.destroy(new Error('timeout')));
    stream.on('response', (res) => { status = res[':status']; });
    stream.on('data', (chunk) => { got += chunk.length; });
    stream.on('error', fail);
    stream.on('close', () => (status === 200 && got === length ? done() : fail(new Error(`${status}, ${got} bytes`))));
  });
}

// A 500 says Retry-After, and the official clients do so.
async function insist(ask) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === RETRIES || !error.message?.startsWith('500')) throw error;
      retried++;
      await sleep(RETRY_MS);
    }
  }
}

async function client(name, ask) {
  for (;;) {
    const start = performance.now();
    try {
      await insist(ask);
      times.push(performance.now() - start);
    } catch (error) {
      failed.push(`${name}: ${error.code ?? error.message}`);
      await sleep(50);
    }
    await sleep(REST_MS);
  }
}

for (const what of [small, small, large]) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  client('HTTP/1.1', () => overHttp1(agent, what));
}
if (fresh) client('new HTTP/1.1', () => overHttp1(false, small));
if (withHttp2) {
  for (const what of [small, small, large]) {
    let session;
    client('HTTP/2', async () => {
      if (!session || session.destroyed || session.closed) {
        session = http2.connect(`http://127.0.0.1:${port}`);
        session.on('error', () => {});
      }
      await overHttp2(session, what);
    });
  }
}

process.on('message', () => {
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  process.send({ answered: times.length, failed, retried, p50: at(0.5), p99: at(0.99), max: at(1) });
  times = [];
  failed = [];
  retried = 0;
});
process.on('disconnect', () => process.exit());
process.send('ready');
