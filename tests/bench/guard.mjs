// SPDX-License-Identifier: Apache-2.0
// Our worker with its HTTP/2 guard and with the guard compiled out: the same requests on
// the same store, in turns on the same processor. See guard.sh.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { certificate } from '../fault/support/tls_tap.mjs';
import { Program, freePort, request, root, until } from '../integration/support/stack.mjs';
import { catalog } from './support/catalog.mjs';
import { OurStack, SERVER_CPU } from './support/contestants.mjs';
import { h1, h2, wrk } from './support/load.mjs';
import { cpuNs, machine } from './support/process.mjs';
import { median, ratio, row } from './support/stats.mjs';

const { values } = parseArgs({ options: {
  rounds: { type: 'string', short: 'r', default: '9' }, seconds: { type: 'string', short: 's', default: '1' } } });
const rounds = Number(values.rounds), seconds = Number(values.seconds);
const BUILDS = { guarded: 'build/bench', bare: 'build/bench-unguarded' };
const HOWS = [
  ['HTTP/1.1 wrk', wrk, 'http'], ['HTTP/1.1 h2load', h1, 'http'], ['HTTP/2 h2load', h2, 'http'],
  ['HTTP/1.1 wrk, TLS', wrk, 'https'], ['HTTP/2 h2load, TLS', h2, 'https'],
];
let failed = 0;

async function start(stack, name, tls) {
  const [port, tlsPort, opsPort] = [await freePort(), await freePort(), await freePort()];
  const program = new Program(stack.dir, name, 'taskset', ['-c', SERVER_CPU, join(root, BUILDS[name], 'services/cm-models')], {
    ...stack.storeEnv(), CM_WORKERS: '1', CM_LISTEN: `127.0.0.1:${port}`, CM_OPS_LISTEN: `127.0.0.1:${opsPort}`,
    CM_TLS_LISTEN: `127.0.0.1:${tlsPort}`, CM_TLS_CERT_FILE: tls.certificate, CM_TLS_KEY_FILE: tls.key });
  const [worker] = await until(`${name} to be ready`, async () => {
    if (program.exit) throw new Error(program.text());
    const { status, json } = await request(`http://127.0.0.1:${opsPort}`, { path: '/readyz' });
    return status === 200 && json.workers;
  });
  return { name, pid: worker.pid, http: `http://127.0.0.1:${port}`, https: `https://127.0.0.1:${tlsPort}`, program };
}

async function measure(contestant, load, scheme, wanted, log) {
  const before = cpuNs(contestant.pid);
  const run = await load(contestant[scheme], wanted, seconds, log);
  failed += run.wrong;
  return { cpu: (cpuNs(contestant.pid) - before) / 1000 / run.count, rate: run.rate, wrong: run.wrong };
}

console.log(`machine: ${machine()}; ${rounds} rounds of ${seconds} s`);
const stack = await OurStack.start({ models: false });
const contestants = [];
try {
  const models = catalog(336);
  await stack.load(models);
  const wanted = { path: `/v1/models/${encodeURIComponent(models[1].id)}`, status: 200, headers: { authorization: `Bearer ${await stack.key()}` } };
  const tls = certificate(stack.dir);
  for (const name of Object.keys(BUILDS)) contestants.push(await start(stack, name, tls));
  console.log(row(['by', 'CPU µs with guard', 'without', 'with/without', 'req/s with', 'without', 'failed']));
  for (const [title, load, scheme] of HOWS) {
    const runs = { guarded: [], bare: [] };
    for (let round = 0; round < rounds; round++)
      for (const contestant of round % 2 === 0 ? contestants : [...contestants].reverse())
        runs[contestant.name].push(await measure(contestant, load, scheme, wanted, join(stack.dir, 'h2load.log')));
    const of = (name, field) => runs[name].map((run) => run[field]);
    console.log(row([title, median(of('guarded', 'cpu')).toFixed(2), median(of('bare', 'cpu')).toFixed(2), ratio(of('guarded', 'cpu'), of('bare', 'cpu')).toFixed(3),
      Math.round(median(of('guarded', 'rate'))), Math.round(median(of('bare', 'rate'))), [...of('guarded', 'wrong'), ...of('bare', 'wrong')].reduce((a, b) => a + b)]));
  }
} finally {
  for (const { program } of contestants) await program.stop();
  await stack.stop();
}
process.exit(failed > 0 ? 1 : 0);
