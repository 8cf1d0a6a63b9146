// SPDX-License-Identifier: Apache-2.0
// The load generators, on the other processor: wrk for HTTP/1.1, h2load for
// both. Each run returns how many answers came, how many were wrong, and how
// long the requests took.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { quantile } from './stats.mjs';

export const CLIENT_CPU = '1';

export function run(command, args) {
  const child = spawn('taskset', ['-c', CLIENT_CPU, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  child.stderr.on('data', (chunk) => { out += chunk; });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => (code === 0 ? done(out) : fail(new Error(`${command} ${args.join(' ')}: ${out}`))));
  });
}

const headerArgs = (headers) => Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);

function read(out, pattern, what) {
  const found = pattern.exec(out);
  if (!found) throw new Error(`no ${what} in:\n${out}`);
  return found;
}

const MICROSECONDS = { us: 1, ms: 1e3, s: 1e6 };
const microseconds = ([, value, unit]) => Number(value) * MICROSECONDS[unit];

// wrk calls everything but 2xx and 3xx an error of sorts.
export async function wrk(url, { path, headers, status }, seconds) {
  const out = await run('wrk', ['-t1', '-c32', `-d${seconds}s`, '--latency', ...headerArgs(headers), url + path]);
  const [, count, took, unit] = read(out, /(\d+) requests in ([\d.]+)(us|ms|s)/, 'count');
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(out)?.[1] ?? 0);
  const lost = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(out);
  return {
    count: Number(count),
    rate: Number(count) / (Number(took) * MICROSECONDS[unit] / 1e6),
    wrong: (status < 400 ? refused : Number(count) - refused) +
      (lost ? lost.slice(1).reduce((sum, n) => sum + Number(n), 0) : 0),
    p50: microseconds(read(out, /50%\s+([\d.]+)(us|ms|s)/, 'p50')),
    p99: microseconds(read(out, /99%\s+([\d.]+)(us|ms|s)/, 'p99')),
  };
}

async function h2load(url, { path, headers, status }, seconds, log, extra) {
  const out = await run('h2load', ['-t1', `-D${seconds}`, `--log-file=${log}`, ...extra, ...headerArgs(headers), url + path]);
  const [, done] = read(out, /requests: \d+ total, \d+ started, (\d+) done/, 'count');
  const codes = read(out, /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/, 'statuses').slice(1).map(Number);
  const lost = read(out, /(\d+) errored, (\d+) timeout/, 'failures').slice(1).map(Number);
  const times = readFileSync(log, 'latin1').split('\n').slice(0, -1).map((line) => Number(line.split('\t')[2]));
  rmSync(log);
  // It calls an expected 401 a failure, so the statuses are judged here.
  const right = codes[Math.floor(status / 100) - 2];
  return {
    count: Number(done),
    rate: Number(done) / seconds,
    wrong: lost[0] + lost[1] + Math.max(0, Number(done) - right),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  };
}

// As many requests in flight as wrk has: 4 connections of 8 streams.
export const h2 = (url, wanted, seconds, log) => h2load(url, wanted, seconds, log, ['-c4', '-m8']);
export const h1 = (url, wanted, seconds, log) => h2load(url, wanted, seconds, log, ['--h1', '-c32']);
