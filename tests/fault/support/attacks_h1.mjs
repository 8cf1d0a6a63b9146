// SPDX-License-Identifier: Apache-2.0
// What a hostile HTTP/1 client does; targets are as in attacks_h2.mjs.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FLAG, PREFACE, frame, settings } from './h2.mjs';

const lines = (what) => (what.headers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('');
export const get = (what, more = '') => `GET ${what.path} HTTP/1.1\r\nhost: localhost\r\n${lines(what)}${more}\r\n`;

function open(port, { read = true } = {}) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const c = { socket, text: '', bytes: 0, ended: false };
  c.closed = new Promise((done) => { socket.on('close', () => { c.isClosed = true; done(); }); });
  socket.on('error', (error) => { c.error = error; });
  socket.on('end', () => { c.ended = true; });
  if (read) socket.on('data', (chunk) => { c.bytes += chunk.length; if (c.text.length < 65536) c.text += chunk.toString('latin1'); });
  else socket.pause();
  return c;
}

// Sends the bytes, waits for the end of the connection, for enough(text) or for `ms`, and tells
// what came; what is more than enough has a moment to come too.
export async function say(port, bytes, ms = 2000, enough = () => false) {
  const c = open(port);
  c.socket.write(Buffer.from(bytes, 'latin1'));
  for (const end = Date.now() + ms; !c.isClosed && !enough(c.text) && Date.now() < end;) await Promise.race([c.closed, sleep(20)]);
  if (!c.isClosed) await sleep(100);
  const { text, isClosed = false, ended, bytes: count } = c;
  c.socket.destroy();
  return { text, closed: isClosed || ended, bytes: count };
}

// `count` connections that each say one byte of a text now and then, until they are cut or
// `ms` are over. Says how many were cut.
async function trickle(port, count, text, { ms, every = 500, from = 1 }) {
  const all = Array.from({ length: count }, () => open(port));
  for (const c of all) c.socket.write(text.subarray(0, from));
  const end = Date.now() + ms;
  for (let at = from; Date.now() < end && all.some((c) => !c.isClosed); at++) {
    await sleep(every);
    for (const c of all) if (!c.isClosed) c.socket.write(text.subarray(at % text.length, (at % text.length) + 1));
  }
  const cut = all.filter((c) => c.isClosed || c.ended).length;
  for (const c of all) c.socket.destroy();
  await Promise.all(all.map((c) => c.closed));
  return { count, cut };
}

// Heads byte by byte; bodies byte by byte; a preface that never ends; a header block that does not.
export async function slowloris(target, { count = 2000, ms }) {
  const share = Math.floor(count / 4);
  const head = Buffer.from(`GET /v1/models HTTP/1.1\r\nhost: localhost\r\n${'x-more: and more\r\n'.repeat(200)}`, 'latin1');
  const body = Buffer.from(`POST /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n${'b'.repeat(60000)}`, 'latin1');
  const block = Buffer.concat([PREFACE, settings(), frame(1, FLAG.END_STREAM, 1, Buffer.alloc(16000, 0x82))]);
  const results = await Promise.all([
    trickle(target.port, share, head, { ms }),
    trickle(target.port, share, body, { ms, from: body.indexOf('\r\n\r\n') + 4 }),
    trickle(target.port, share, PREFACE, { ms, from: 14, every: 900 }),
    trickle(target.port, share, block, { ms, from: PREFACE.length + 18, every: 900 }),
  ]);
  return results.reduce((sum, r) => ({ count: sum.count + r.count, cut: sum.cut + r.cut }));
}

// Many lists are asked for, and none is taken.
export async function stalledReaders(target, { count = 300, ms }) {
  const all = Array.from({ length: count }, () => open(target.port, { read: false }));
  const asks = Buffer.from(get(target.large).repeat(30), 'latin1');
  for (const c of all) c.socket.write(asks);
  const end = Date.now() + ms;
  while (Date.now() < end && all.some((c) => !c.isClosed)) {
    await sleep(100);
    // A paused socket does not notice its end: only a write does.
    for (const c of all) if (!c.isClosed) c.socket.write('\r\n');
  }
  const cut = all.filter((c) => c.isClosed).length;
  for (const c of all) c.socket.destroy();
  return { count, cut };
}

// 10,000 requests in one go on one connection, read; and on many, never read.
export async function pipelined(target, count = 10000) {
  const c = open(target.port);
  let answers = 0, tail = '';
  c.socket.on('data', (chunk) => {
    const text = tail + chunk.toString('latin1');
    answers += text.split('HTTP/1.1 200 OK\r\n').length - 1;
    tail = text.slice(-16).includes('HTTP') ? text.slice(text.lastIndexOf('HTTP')).slice(0, 16) : '';
    if (tail.startsWith('HTTP/1.1 200 OK')) tail = '';
  });
  c.socket.write(Buffer.from(get(target.small).repeat(count), 'latin1'));
  for (let i = 0; i < 2400 && answers < count && !c.isClosed; i++) await sleep(50);
  c.socket.destroy();
  await stalledReaders({ ...target, large: target.small }, { count: 20, ms: 300 });
  return { asked: count, answers };
}

export async function hugeHeads(target) {
  const out = [];
  const start = 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n';
  for (const head of [
    `${start}x: ${'a'.repeat(16400)}\r\n\r\n`, `${start}x: ${'a'.repeat(1 << 20)}`, `${start}${'a'.repeat(1 << 20)}`,
    `GET /${'a'.repeat(1 << 20)}`, `${start}${'x: y\r\n'.repeat(101)}\r\n`, `${start}${'x: y\r\n'.repeat(20000)}`, 'A'.repeat(1 << 20),
    '\r\n'.repeat(1 << 19), ' '.repeat(1 << 20), '\0'.repeat(1 << 20),
  ]) out.push(await say(target.port, head, 30000));
  return out;
}

// Opens `count` connections and keeps them: how many does the server keep? It has time to come
// down to `most`.
export async function connectionFlood(target, count, most, ms = 30000) {
  const all = [];
  for (let i = 0; i < count; i++) {
    all.push(open(target.port));
    if (i % 200 === 199) await sleep(5);
  }
  const keeps = () => all.filter((c) => !c.isClosed && !c.ended).length;
  for (const end = Date.now() + ms; keeps() > most && Date.now() < end;) await sleep(50);
  await sleep(300);
  const kept = keeps();
  for (const c of all) c.socket.destroy();
  await Promise.all(all.map((c) => c.closed));
  return { count, kept };
}
