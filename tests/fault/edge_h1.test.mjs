// SPDX-License-Identifier: Apache-2.0
// cm-models under attack by HTTP/1: slow, greedy and endless clients; and bytes about
// whose end two readers could disagree, which is what request smuggling lives on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HUGE_HEADS, PIPELINED, SLOW_CLIENTS, STALLED_READERS } from './support/attacks.mjs';
import * as attacks from './support/attacks_h1.mjs';
import { Edge } from './support/edge.mjs';

const MAX_CONNECTIONS = 3000;
let edge;
before(async () => {
  edge = await Edge.start();
}, { timeout: 180000 });
after(() => edge?.stop());
const survive = (t, [name, attack]) => edge.survive(t, name, () => attack(edge.target()));

test('it survives: 2,000 slow clients', { timeout: 180000 }, async (t) => {
  const { count, cut } = await survive(t, SLOW_CLIENTS);
  t.diagnostic(`figure 2,000 slow clients: ${cut} of ${count} cut`);
  assert.equal(cut, count);
});

test('it survives: readers that do not read', { timeout: 180000 }, async (t) => {
  const { count, cut } = await survive(t, STALLED_READERS);
  t.diagnostic(`figure readers that do not read: ${cut} of ${count} cut`);
  assert.equal(cut, count);
});

test('it survives: 10,000 pipelined requests', { timeout: 180000 }, async (t) => {
  const { asked, answers } = await survive(t, PIPELINED);
  assert.equal(answers, asked);
});

test('it survives: huge heads', { timeout: 180000 }, async (t) => {
  const answers = await survive(t, HUGE_HEADS);
  for (const [i, { text, closed }] of answers.entries()) {
    assert.ok(closed, `head ${i} is still awaited`);
    assert.match(text, /^(HTTP\/1.1 (400|431) [^]*)?$/, `head ${i}`);
  }
});

test('it survives: more connections than it takes', { timeout: 180000 }, async (t) => {
  // Nobody is cut for being silent before the last one is there.
  const patient = await Edge.start({ env: { CM_MAX_CONNECTIONS: String(MAX_CONNECTIONS), CM_HEAD_TIMEOUT_S: '120', CM_IDLE_TIMEOUT_S: '120' }, fresh: false });
  try {
    const { count, kept } = await patient.survive(t, 'more connections than it takes', () => attacks.connectionFlood(patient.target(), 8000, 2 * MAX_CONNECTIONS));
    t.diagnostic(`figure more connections than it takes: ${kept} of ${count} kept, ${MAX_CONNECTIONS} a worker`);
    assert.ok(kept <= 2 * MAX_CONNECTIONS, `${kept} connections`);
    assert.ok(kept > MAX_CONNECTIONS, `only ${kept} connections`);
  } finally {
    await patient.stop();
  }
});

// -- smuggling -------------------------------------------------------------------

// What hides behind a shape that is refused must not be answered; where a shape is fine, both
// requests are. `b` is the request behind.
const b = 'GET /behind HTTP/1.1\r\nhost: localhost\r\n\r\n';
const start = 'POST /v1/models HTTP/1.1\r\nhost: localhost\r\n';
const chunk = '5\r\nhello\r\n0\r\n\r\n';
const REFUSED = {
  'length and chunks': `${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${b}`,
  'chunks and length': `${start}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n${chunk}${b}`,
  'two lengths': `${start}content-length: 5\r\ncontent-length: 6\r\n\r\nhello${b}`,
  'the same length twice': `${start}content-length: 5\r\ncontent-length: 5\r\n\r\nhello${b}`,
  'a list of lengths': `${start}content-length: 5, 5\r\n\r\nhello${b}`,
  'a signed length': `${start}content-length: +5\r\n\r\nhello${b}`,
  'a hexadecimal length': `${start}content-length: 0x5\r\n\r\nhello${b}`,
  'no length': `${start}content-length:\r\n\r\nhello${b}`,
  'an endless length': `${start}content-length: 99999999999999999999999\r\n\r\nhello${b}`,
  'an unknown coding': `${start}transfer-encoding: xchunked\r\n\r\n${chunk}${b}`,
  'two codings': `${start}transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${b}`,
  'a list of codings': `${start}transfer-encoding: gzip, chunked\r\n\r\n${chunk}${b}`,
  'a coding with a tab': `${start}transfer-encoding:\tchunked\tx\r\n\r\n${chunk}${b}`,
  'chunks in HTTP/1.0': `POST /v1/models HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${b}`,
  'a bare line feed': `GET /v1/models HTTP/1.1\nhost: localhost\n\n${b}`,
  'a bare line feed in the head': `GET /v1/models HTTP/1.1\r\nhost: localhost\nx: y\r\n\r\n${b}`,
  'a bare line feed at its end': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\n${b}`,
  'a bare carriage return': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: a\rcontent-length: 5\r\n\r\n${b}`,
  'a folded line': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: y\r\n content-length: 9\r\n\r\n${b}`,
  'a blank before a colon': `${start}content-length : 5\r\n\r\nhello${b}`,
  'no colon': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length 5\r\n\r\n${b}`,
  'a name of nothing': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\n: 5\r\n\r\n${b}`,
  'NUL in a value': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n${b}`,
  'NUL in a name': `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx\0y: a\r\n\r\n${b}`,
  'no host': `GET /v1/models HTTP/1.1\r\n\r\n${b}`,
  'two hosts': `GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n${b}`,
  'a host with a blank': `GET /v1/models HTTP/1.1\r\nhost: a b\r\n\r\n${b}`,
  'a host with a path': `GET /v1/models HTTP/1.1\r\nhost: a/b\r\n\r\n${b}`,
  'HTTP/1.9': `GET /v1/models HTTP/1.9\r\nhost: localhost\r\n\r\n${b}`,
  'HTTP/2.0': `GET /v1/models HTTP/2.0\r\nhost: localhost\r\n\r\n${b}`,
  'no version': `GET /v1/models\r\nhost: localhost\r\n\r\n${b}`,
  'a method of nothing': ` /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n${b}`,
  'a method that is none': `G\x80T /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n${b}`,
  'a method with a colon': `GET: /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n${b}`,
  'two blanks': `GET  /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n${b}`,
  'a target with a blank': `GET /v1/ models HTTP/1.1\r\nhost: localhost\r\n\r\n${b}`,
  'a target without a slash': `GET v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n${b}`,
  'a chunk size of nothing': `${start}transfer-encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n${b}`,
  'a chunk size that is none': `${start}transfer-encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n${b}`,
  'a negative chunk': `${start}transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n${b}`,
  'an endless chunk size': `${start}transfer-encoding: chunked\r\n\r\n10000000000000000005\r\nhello\r\n0\r\n\r\n${b}`,
  'a chunk that goes on': `${start}transfer-encoding: chunked\r\n\r\n5\r\nhello, and more\r\n0\r\n\r\n${b}`,
};
const ACCEPTED = {
  'a length': [`${start}content-length: 5\r\n\r\nhello${b}`, [405, 404]],
  'chunks': [`${start}transfer-encoding: chunked\r\n\r\n${chunk}${b}`, [405, 404]],
  'chunks, upper case': [`${start}Transfer-Encoding: CHUNKED\r\n\r\n${chunk}${b}`, [405, 404]],
  'chunks with an extension': [`${start}transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n${b}`, [405, 404]],
  'chunks with a trailer': [`${start}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n${b}`, [405, 404]],
  'a body of nothing': [`${start}content-length: 0\r\n\r\n${b}`, [405, 404]],
  'a GET with a body': [`GET /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello${b}`, [404, 404]],
  'a line before': [`\r\n${b}${b}`, [404, 404]],
  'blanks before a value': [`${start}content-length: \t 5\r\n\r\nhello${b}`, [405, 404]],
  // Its Connection names no keep-alive.
  'an upgrade that we do not know': [`GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n${b}`, [404]],
};
const statuses = (text) => [...text.matchAll(/(?:^|\r\n\r\n|\}|Bad Request)HTTP\/1\.1 (\d+)/g)].map((m) => Number(m[1])).filter((s) => s !== 100);

test('nothing hides behind a request that two readers could end differently', { timeout: 180000 }, async (t) => {
  const wrong = [];
  await edge.survive(t, 'request smuggling', () => Promise.all(Object.entries(REFUSED).map(async ([name, bytes]) => {
    const { text, closed } = await attacks.say(edge.stack.port, bytes, 20000);
    const got = statuses(text);
    if (!closed || got.length !== 1 || got[0] !== 400 || text.includes('/behind')) wrong.push(`${name}: ${closed ? '' : 'open, '}${got} ${text.slice(0, 40)}`);
  })));
  assert.deepEqual(wrong, []);
});

test('what is unusual but clear is answered, and so is what follows', { timeout: 180000 }, async () => {
  const wrong = [];
  for (const [name, [bytes, expected]] of Object.entries(ACCEPTED)) {
    const { text } = await attacks.say(edge.stack.port, bytes, 20000, (so) => statuses(so).length >= expected.length);
    if (`${statuses(text)}` !== `${expected}`) wrong.push(`${name}: ${statuses(text)} ${text.slice(0, 60)}`);
  }
  assert.deepEqual(wrong, []);
});
