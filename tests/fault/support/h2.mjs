// SPDX-License-Identifier: Apache-2.0
// HTTP/2 from its bytes: frames and header blocks as no library would send them,
// and a connection that reads as fast, as slowly or as little as it is told.
import net from 'node:net';

export const TYPE = {
  DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PUSH_PROMISE: 5, PING: 6, GOAWAY: 7,
  WINDOW_UPDATE: 8, CONTINUATION: 9,
};
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 };
export const SETTING = {
  HEADER_TABLE_SIZE: 1, ENABLE_PUSH: 2, MAX_CONCURRENT_STREAMS: 3, INITIAL_WINDOW_SIZE: 4, MAX_FRAME_SIZE: 5,
};
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const NOTHING = Buffer.alloc(0);

export function frame(type, flags = 0, stream = 0, payload = NOTHING) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function u32(...values) {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => out.writeUInt32BE(value >>> 0, i * 4));
  return out;
}

export function settings(pairs = {}) {
  const entries = Array.isArray(pairs) ? pairs : Object.entries(pairs).map(([name, value]) => [SETTING[name], value]);
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(TYPE.SETTINGS, 0, 0, payload);
}

export const windowUpdate = (stream, increment) => frame(TYPE.WINDOW_UPDATE, 0, stream, u32(increment));
export const rst = (stream, code = 8) => frame(TYPE.RST_STREAM, 0, stream, u32(code));
export const ping = (text = 'pingpong', flags = 0) => frame(TYPE.PING, flags, 0, Buffer.from(text));
export function priority(stream, parent, { exclusive = false, weight = 16 } = {}) {
  return frame(TYPE.PRIORITY, 0, stream, Buffer.concat([u32(exclusive ? parent | 0x80000000 : parent), Buffer.from([weight - 1])]));
}

// -- header blocks (RFC 7541, without Huffman) ---------------------------------

export function integer(prefixBits, first, value) {
  const max = 2 ** prefixBits - 1;
  if (value < max) return Buffer.from([first | value]);
  const out = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest >>>= 7) out.push((rest & 127) | 128);
  out.push(rest);
  return Buffer.from(out);
}

export function text(value) {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(7, 0, bytes.length), bytes]);
}

export const indexed = (index) => integer(7, 0x80, index);
export const tableSize = (size) => integer(5, 0x20, size);
// A field that stays out of the table, and one that enters it (index 62 for the last one).
export const literal = (name, value) => Buffer.concat([Buffer.from([0]), text(name), text(value)]);
export const remembered = (name, value) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
const METHOD = { GET: indexed(2), POST: indexed(3) };

// A request's header block: pseudo fields, then [name, value] pairs.
export function block(path, headers = [], { method = 'GET', authority = 'localhost', scheme = 'http' } = {}) {
  return Buffer.concat([
    METHOD[method] ?? Buffer.concat([integer(4, 0, 2), text(method)]),
    indexed(scheme === 'http' ? 6 : 7),
    Buffer.concat([integer(4, 0, 4), text(path)]),
    Buffer.concat([integer(4, 0, 1), text(authority)]),
    ...headers.map(([name, value]) => literal(name, value)),
  ]);
}

export function request(stream, headerBlock, flags = FLAG.END_STREAM | FLAG.END_HEADERS) {
  return frame(TYPE.HEADERS, flags, stream, headerBlock);
}

// -- a connection --------------------------------------------------------------

// The bytes of a status as libh2o writes it, first in the block.
function statusOf(payload) {
  const known = { 0x88: 200, 0x89: 204, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500 };
  return known[payload[0]] ?? Number(payload.subarray(2, 5).toString('latin1'));
}

export class H2 {
  // Says the preface, `settings` and what else is given, and listens. With `read: false` it
  // takes nothing until resume(). Answers to SETTINGS and PING are left to the caller.
  static async open(port, { first = settings(), read = true, host = '127.0.0.1', connect } = {}) {
    const h2 = new H2();
    h2.counts = {};
    h2.statuses = new Map();
    h2.ended = new Set();
    h2.resets = new Map();
    h2.bytes = new Map();
    h2.goaway = null;
    h2.rest = NOTHING;
    h2.waiting = [];
    h2.socket = connect ? await connect(port, host) : net.connect({ port, host, noDelay: true });
    h2.closed = new Promise((done) => {
      h2.socket.on('close', () => { h2.isClosed = true; h2.wake(); done(); });
    });
    h2.socket.on('error', (error) => { h2.error = error; });
    h2.socket.on('end', () => { h2.isEnded = true; h2.wake(); });
    if (read) h2.resume();
    await h2.write(Buffer.concat([PREFACE, first]));
    return h2;
  }

  // Resolves when the bytes have left for the kernel, or the connection is over.
  write(bytes) {
    if (this.isClosed || this.socket.destroyed) return Promise.resolve();
    return Promise.race([new Promise((done) => { this.socket.write(bytes, () => done()); }), this.closed]);
  }

  resume() {
    if (!this.listens) this.socket.on('data', (chunk) => this.take(chunk));
    this.listens = true;
    this.socket.resume();
  }

  pause() { this.socket.pause(); }
  destroy() { this.socket.destroy(); }

  take(chunk) {
    let rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (rest.length >= 9) {
      const end = 9 + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      this.see(rest[3], rest[4], rest.readUInt32BE(5), rest.subarray(9, end));
      rest = rest.subarray(end);
    }
    this.rest = Buffer.from(rest);
    this.wake();
  }

  see(type, flags, stream, payload) {
    this.counts[type] = (this.counts[type] ?? 0) + 1;
    if (type === TYPE.HEADERS) this.statuses.set(stream, statusOf(payload));
    if (type === TYPE.DATA) this.bytes.set(stream, (this.bytes.get(stream) ?? 0) + payload.length);
    if ((type === TYPE.HEADERS || type === TYPE.DATA) && flags & FLAG.END_STREAM) this.ended.add(stream);
    if (type === TYPE.RST_STREAM) this.resets.set(stream, payload.readUInt32BE(0));
    if (type === TYPE.GOAWAY)
      this.goaway = { last: payload.readUInt32BE(0), code: payload.readUInt32BE(4), text: payload.subarray(8).toString() };
    this.onFrame?.(type, flags, stream, payload);
  }

  count(type) { return this.counts[type] ?? 0; }

  wake() {
    this.waiting = this.waiting.filter(({ check, done }) => {
      if (!check() && !this.isClosed) return true;
      done();
      return false;
    });
  }

  // Waits until check() holds or the connection is over; says whether it holds. False after `ms`.
  async until(check, ms = 5000) {
    let timer;
    const late = new Promise((done) => { timer = setTimeout(done, ms); });
    if (!check() && !this.isClosed)
      await Promise.race([late, new Promise((done) => this.waiting.push({ check, done }))]);
    clearTimeout(timer);
    return check();
  }
}
