// SPDX-License-Identifier: Apache-2.0
// Bytes on a socket: for requests that no client library would send.
import net from 'node:net';

// Sends text on one connection and collects what comes back until the server
// closes, or until `ms` pass without a byte.
export function raw(port, text, ms = 5000) {
  return new Promise((done, fail) => {
    const chunks = [];
    let closed = false;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(Buffer.from(text, 'latin1')));
    socket.setTimeout(ms, () => socket.destroy());
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => { closed = true; });
    socket.on('error', (error) => (chunks.length ? undefined : fail(error)));
    socket.on('close', () => done({ closed, text: Buffer.concat(chunks).toString('latin1') }));
  });
}

// The responses of a connection, split by their Content-Length; heads[i] says
// whether response i answers a HEAD.
export function responses(text, heads = []) {
  const out = [];
  for (let rest = text; rest.length > 0;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) throw new Error(`no end of head in ${JSON.stringify(rest.slice(0, 200))}`);
    const [first, ...lines] = rest.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const status = Number(first.split(' ')[1]);
    const empty = heads[out.length] || status === 204 || status === 304;
    const length = empty ? 0 : Number(headers['content-length']);
    if (Number.isNaN(length)) throw new Error(`no content-length in ${JSON.stringify(rest.slice(0, end))}`);
    out.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return out;
}
