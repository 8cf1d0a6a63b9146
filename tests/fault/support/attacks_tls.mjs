// SPDX-License-Identifier: Apache-2.0
// What a hostile TLS client does; targets are as in attacks_h2.mjs. The comments say
// what it aims at in libh2o 2.2.5.
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PREFACE, block, ping, request, settings, windowUpdate } from './h2.mjs';
import { taken } from './taken.mjs';
import { TlsTap, badRecord } from './tls_tap.mjs';

const get = (what) => Buffer.from(`GET ${what.path} HTTP/1.1\r\nhost: localhost\r\n${
  (what.headers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1');

// [Finished][request][a record that cannot be decrypted] in one flight: the error is
// forgotten, the answer cannot be encrypted any more, and a write of no buffers at all
// is one that libuv asserts against. Nobody has shown a key so far.
export async function badRecordAfterRequest(target, tries = 5) {
  for (let i = 0; i < tries; i++) {
    const tap = new TlsTap(target.port, { minVersion: 'TLSv1.3', holdAfterHello: true });
    await Promise.race([tap.secured, tap.closed]);
    tap.socket.write(get(target.small));
    await new Promise(setImmediate);
    tap.flush(badRecord());
    await Promise.race([tap.closed, sleep(100)]);
    tap.destroy();
  }
}

// The same by HTTP/2, where reading goes on while a write is under way.
export async function badRecordWhileWriting(target) {
  const tap = new TlsTap(target.port, { alpn: 'h2' });
  await Promise.race([tap.secured, tap.closed]);
  tap.socket.write(Buffer.concat([PREFACE, settings({ INITIAL_WINDOW_SIZE: 0xffffff }), windowUpdate(0, 0x7f000000)]));
  tap.raw.pause();
  const count = Math.min(99, Math.ceil(15e6 / target.large.length));
  for (let i = 0; i < count; i++) tap.socket.write(request(2 * i + 1, block(target.large.path, target.large.headers)));
  await taken(tap.raw);
  await sleep(200);
  tap.socket.write(Buffer.concat(Array.from({ length: 10 }, () => ping())));
  await taken(tap.raw);
  tap.raw.write(badRecord());
  await taken(tap.raw);
  await sleep(20);
  tap.raw.resume();
  await Promise.race([tap.closed, sleep(1500, undefined, { ref: false })]);
  tap.destroy();
}

// After close_notify nothing is decrypted any more, but everything is kept.
export async function afterCloseNotify(target, { alpn = 'h2', megabytes = 150, patience = 20000 } = {}) {
  const tap = new TlsTap(target.port, { alpn });
  await Promise.race([tap.secured, tap.closed]);
  if (alpn === 'h2') tap.socket.write(Buffer.concat([PREFACE, settings()]));
  await taken(tap.raw);
  await sleep(20);
  tap.socket.end();
  await taken(tap.raw);
  const chunk = randomBytes(1 << 20);
  for (let sent = 0; sent < megabytes && !tap.isClosed; sent++)
    await Promise.race([new Promise((done) => { tap.raw.write(chunk, done); }), tap.closed, sleep(500)]);
  await Promise.race([tap.closed, sleep(patience, undefined, { ref: false })]);
  const cut = tap.isClosed === true;
  tap.destroy();
  return { cut };
}

// Bytes of a good handshake, cut off or spoiled at each place.
export async function brokenHandshakes(target) {
  const hello = await firstFlight(target.port);
  const one = async (bytes, ms = 30) => {
    const tap = net.connect({ port: target.port, host: '127.0.0.1' });
    const closed = new Promise((done) => { tap.on('close', done); });
    tap.on('error', () => {});
    tap.resume();
    tap.write(bytes);
    await Promise.race([closed, sleep(ms)]);
    tap.destroy();
  };
  for (let at = 0; at < hello.length; at += 7) {
    const spoiled = Buffer.from(hello);
    spoiled[at] ^= 0xff;
    await Promise.all([one(hello.subarray(0, at + 1)), one(spoiled), one(Buffer.concat([hello.subarray(0, at), randomBytes(50)]))]);
  }
  await one(Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
  await one(PREFACE);
  await one(Buffer.concat([hello, badRecord()]));
  await one(Buffer.concat([hello, hello]));
  await one(Buffer.concat(Array(100).fill(hello)));
  await one(Buffer.concat([hello.subarray(0, 5), Buffer.alloc(1 << 20)]), 300);
}

async function firstFlight(port) {
  const tap = new TlsTap(port);
  await tap.secured;
  tap.destroy();
  return tap.hello;
}

// Half a handshake, and nothing more.
export async function slowHandshakes(target, { count = 500, ms = 60000 } = {}) {
  const hello = await firstFlight(target.port);
  const all = Array.from({ length: count }, (_, i) => {
    const socket = net.connect({ port: target.port, host: '127.0.0.1' });
    const c = { socket, closed: false };
    socket.on('close', () => { c.closed = true; });
    socket.on('error', () => {});
    socket.resume();
    socket.write(i % 2 === 0 ? hello.subarray(0, hello.length >> 1) : hello);
    return c;
  });
  const end = Date.now() + ms;
  for (let at = 0; Date.now() < end && !all.every((c) => c.closed); at++) {
    await sleep(400);
    for (const [i, c] of all.entries())
      if (i % 2 === 0 && !c.closed) c.socket.write(hello.subarray((hello.length >> 1) + at, (hello.length >> 1) + at + 1));
  }
  const cut = all.every((c) => c.closed);
  for (const c of all) c.socket.destroy();
  return { cut };
}

// Each asks for the list and takes none of it: it must not be encrypted as a whole for each.
export async function stalledReaders(target, { count = 150, ms = 8000 } = {}) {
  const all = Array.from({ length: count }, () => {
    const tap = new TlsTap(target.port);
    tap.secured.then(() => { tap.raw.pause(); tap.socket.write(Buffer.concat(Array(20).fill(get(target.large)))); });
    return tap;
  });
  await Promise.all(all.map((tap) => Promise.race([tap.secured, tap.closed])));
  const end = Date.now() + ms;
  while (Date.now() < end && !all.every((tap) => tap.isClosed)) {
    await sleep(100);
    for (const tap of all) if (!tap.isClosed) tap.raw.write(Buffer.alloc(0));
  }
  for (const tap of all) tap.destroy();
}

// A request in records of one byte, and one that fills the server's buffers to the brim.
export async function oddRecords(target) {
  const ask = (tap) => new Promise((done) => {
    tap.socket.once('data', (chunk) => done(chunk.toString('latin1').split('\r\n')[0]));
    tap.closed.then(() => done('closed'));
  });
  for (const length of [0, 1, 8000, 8140, 8150, 8160, 8165, 8168, 8169, 8170, 8171, 8172, 8180, 8191, 8192, 8193, 16000]) {
    const tap = new TlsTap(target.port);
    await Promise.race([tap.secured, tap.closed]);
    const bytes = get({ ...target.small, headers: [...target.small.headers, ['x-long', 'l'.repeat(Math.max(1, length - 150))]] });
    const answer = ask(tap);
    if (length < 2) for (const byte of bytes) tap.socket.write(Buffer.from([byte]));
    else tap.socket.write(bytes);
    const said = await Promise.race([answer, sleep(30000, 'silence', { ref: false })]);
    if (said !== 'HTTP/1.1 200 OK') throw new Error(`a head of ${bytes.length} bytes: ${said}`);
    tap.destroy();
  }
}
