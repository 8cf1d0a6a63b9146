// SPDX-License-Identifier: Apache-2.0
// Asks with keys that nobody has made, each another one, as fast as they are answered: a
// process of its own, forked by key_flood.test.mjs. Keys are well-formed, checksum included.
import net from 'node:net';

const { port, count, connections, run } = JSON.parse(process.argv[2]);
const DEPTH = 8; // requests that each connection has sent ahead
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(text) {
  let c = -1;
  for (let i = 0; i < text.length; i++) c = TABLE[(c ^ text.charCodeAt(i)) & 255] ^ (c >>> 8);
  return (c ^ -1) >>> 0;
}

function base62(value, digits) {
  let out = '';
  for (let i = 0, rest = value; i < digits; i++, rest = Math.floor(rest / 62)) out = DIGITS[rest % 62] + out;
  return out;
}

export function unknownKey(n) {
  const body = `cm-${run.padStart(33, 'x')}${base62(n, 10)}`;
  return body + base62(crc32(body), 6);
}

const statuses = {};
let asked = 0, answered = 0;
const ask = () => `GET /v1/models/a%2Fb HTTP/1.1\r\nhost: flood\r\nauthorization: Bearer ${unknownKey(asked++)}\r\n\r\n`;

function attack() {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  let tail = '';
  const send = (n) => {
    let out = '';
    for (; n > 0 && asked < count; n--) out += ask();
    if (out) socket.write(out, 'latin1');
  };
  socket.on('connect', () => send(DEPTH));
  socket.on('data', (chunk) => {
    const text = tail + chunk.toString('latin1');
    let got = 0, last = 0;
    for (let at = text.indexOf('HTTP/1.1 '); at >= 0 && at + 12 <= text.length; at = text.indexOf('HTTP/1.1 ', at + 9)) {
      const status = text.slice(at + 9, at + 12);
      statuses[status] = (statuses[status] ?? 0) + 1;
      got++;
      last = at + 12;
    }
    tail = text.slice(Math.max(last, text.length - 11));
    answered += got;
    send(got);
    if (answered >= count) done();
  });
  socket.on('error', () => {});
  socket.on('close', () => { statuses.closed = (statuses.closed ?? 0) + 1; });
}

function done() {
  process.send({ answered, statuses });
  process.disconnect();
  process.exit();
}

for (let i = 0; i < connections; i++) attack();
process.on('disconnect', () => process.exit());
