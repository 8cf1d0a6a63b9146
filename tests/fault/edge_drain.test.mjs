// SPDX-License-Identifier: Apache-2.0
// SIGTERM while clients are in the middle of something, some on purpose: the process ends
// by itself and in time, without killing a worker, and who is owed an answer gets it whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../integration/support/stack.mjs';
import * as attacks from './support/attacks_h1.mjs';
import { Edge } from './support/edge.mjs';
import { FLAG, H2, TYPE, block, frame, literal, request, settings, windowUpdate } from './support/h2.mjs';

const DRAIN_S = 8;
const LATE_MS = 30000; // what a machine that stands still now and then may add
const OPEN = FLAG.END_HEADERS;
const WIDE = Buffer.concat([settings({ INITIAL_WINDOW_SIZE: 0xffffff }), windowUpdate(0, 0x7f000000)]);

// `during` runs with the edge and a function that sends SIGTERM; then the end is awaited.
async function drained(t, name, during, env = {}) {
  const edge = await Edge.start({ workers: 1, honest: false, env: { CM_DRAIN_TIMEOUT_S: String(DRAIN_S), CM_WRITE_TIMEOUT_S: '5', ...env } });
  try {
    const { models } = edge.stack;
    let asked = 0;
    await during(edge, () => { asked = Date.now(); models.kill('SIGTERM'); });
    await Promise.race([models.exited, sleep(DRAIN_S * 1000 + LATE_MS, undefined, { ref: false })]);
    const log = models.text();
    assert.deepEqual(models.exit, { code: 0, signal: null }, log.slice(-2000));
    t.diagnostic(`figure drain, ${name}: ended after ${Date.now() - asked} ms`);
    assert.doesNotMatch(log, /child_killed|AddressSanitizer|Assertion|"signal"/);
  } finally {
    await edge.stop();
  }
}

// One stream keeps the connection busy, another is in the middle of its head.
async function openBlock(edge, terminate, begin) {
  const h2 = await H2.open(edge.stack.port, { first: WIDE });
  await h2.write(Buffer.concat([request(1, block(edge.large.path, edge.large.headers), OPEN), begin]));
  await sleep(100);
  terminate();
  await h2.until(() => h2.goaway, LATE_MS);
  await sleep(1500); // the last GOAWAY may have been said
  for (let i = 0; i < 30 && !h2.isClosed; i++) {
    h2.write(frame(TYPE.CONTINUATION, i === 29 ? FLAG.END_HEADERS : 0, 3, literal('x', 'y')));
    await sleep(10);
  }
  await sleep(200);
  h2.destroy();
}

test('a header block that stays open', { timeout: 180000 }, (t) => drained(t, 'a header block that stays open', (edge, terminate) =>
  openBlock(edge, terminate, request(3, block(edge.small.path, edge.small.headers), FLAG.END_STREAM))));

test('trailers that stay open', { timeout: 180000 }, (t) => drained(t, 'trailers that stay open', (edge, terminate) =>
  openBlock(edge, terminate, Buffer.concat([request(3, block(edge.small.path, edge.small.headers), OPEN),
    frame(TYPE.DATA, 0, 3, Buffer.from('body')), frame(TYPE.HEADERS, FLAG.END_STREAM, 3, literal('x', 'y'))]))));

test('Upgrade: h2c at that very moment', { timeout: 180000 }, (t) => drained(t, 'Upgrade: h2c', async (edge, terminate) => {
  const ask = attacks.get(edge.large, 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n');
  const all = Array.from({ length: 200 }, (_, i) => sleep(i / 4).then(() => attacks.say(edge.stack.port, ask, LATE_MS).catch(() => null)));
  await sleep(25);
  terminate();
  const answers = (await Promise.all(all)).filter((a) => a?.text);
  assert.ok(answers.length > 0);
  for (const { text } of answers) assert.match(text, /^HTTP\/1.1 200 OK/);
}));

test('slow readers get their answers whole', { timeout: 180000 }, (t) => drained(t, 'slow readers', async (edge, terminate) => {
  const all = await Promise.all(Array.from({ length: 20 }, async () => {
    const h2 = await H2.open(edge.stack.port, { first: WIDE, read: false });
    await h2.write(Buffer.concat(Array.from({ length: 30 }, (_, n) => request(2 * n + 1, block(edge.large.path, edge.large.headers)))));
    return h2;
  }));
  await sleep(500);
  terminate();
  await sleep(2500);
  for (const h2 of all) h2.resume();
  await Promise.all(all.map((h2) => h2.until(() => h2.ended.size === 30, LATE_MS)));
  for (const h2 of all) {
    assert.equal(h2.ended.size, 30, 'answers are missing');
    for (const bytes of h2.bytes.values()) assert.equal(bytes, edge.large.length);
    assert.ok(h2.goaway, 'no GOAWAY');
    assert.equal(h2.goaway.code, 0);
  }
  for (const h2 of all) h2.destroy();
}, { CM_DRAIN_TIMEOUT_S: '30', CM_WRITE_TIMEOUT_S: '20' }));

test('who comes in time and speaks late', { timeout: 180000 }, (t) => drained(t, 'who speaks late', async (edge, terminate) => {
  const late = await Promise.all(Array.from({ length: 10 }, async () => {
    const h2 = await H2.open(edge.stack.port, { first: Buffer.alloc(0) });
    await h2.write(settings());
    return h2;
  }));
  await sleep(100);
  terminate();
  const told = Date.now();
  await Promise.all(late.map((h2) => h2.until(() => h2.goaway, LATE_MS)));
  await sleep(Math.max(0, 300 - (Date.now() - told)));
  for (const h2 of late) h2.write(request(1, block(edge.small.path, edge.small.headers)));
  const lateBy = Date.now() - told; // a second is given, and then the last stream is named
  await Promise.all(late.map((h2) => h2.until(() => h2.ended.has(1), LATE_MS)));
  for (const h2 of late) {
    assert.ok(h2.goaway, 'not told to go away');
    if (h2.statuses.get(1) !== 200) assert.ok(lateBy > 700 && h2.goaway.last === 0, `said after ${lateBy} ms, ${JSON.stringify(h2.goaway)}`);
    h2.destroy();
  }
}));

test('floods go on meanwhile', { timeout: 180000 }, (t) => drained(t, 'floods', async (edge, terminate) => {
  const ping = frame(TYPE.PING, 0, 0, Buffer.alloc(8));
  const all = await Promise.all(Array.from({ length: 20 }, () => H2.open(edge.stack.port)));
  let going = true;
  const loops = all.map(async (h2) => {
    for (let n = 1; going && !h2.isClosed; n += 2) {
      h2.write(Buffer.concat([ping, request(n, block(edge.small.path, edge.small.headers), n % 4 === 1 ? OPEN : OPEN | FLAG.END_STREAM)]));
      await sleep(5);
    }
  });
  await sleep(200);
  terminate();
  await Promise.race([edge.stack.models.exited, sleep(DRAIN_S * 1000 + LATE_MS, undefined, { ref: false })]);
  going = false;
  await Promise.all(loops);
  for (const h2 of all) h2.destroy();
}));
