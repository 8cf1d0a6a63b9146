// SPDX-License-Identifier: Apache-2.0
// Clients that take their time. Each is {kind, done, destroy}: done resolves, when its
// connection is over, to {answers: [{status, body}], rest}: what was answered whole
// and what was left of an answer that was cut.
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

function split(text) {
  const answers = [];
  for (;;) {
    const end = text.indexOf('\r\n\r\n');
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1]);
    if (end < 0 || Number.isNaN(length) || text.length < end + 4 + length) return { answers, rest: text };
    answers.push({ status: Number(text.split(' ')[1]), body: text.slice(end + 4, end + 4 + length) });
    text = text.slice(end + 4 + length);
  }
}

function connect(port, secure) {
  return secure ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    : net.connect(port, '127.0.0.1');
}

// script(socket) runs when the connection is there.
function client(kind, socket, ready, script) {
  let text = '';
  socket.on('data', (chunk) => { text += chunk.toString('latin1'); });
  socket.on('error', () => {});
  socket.once(ready, () => script(socket));
  return { kind, socket, destroy: () => socket.destroy(), done: new Promise((done) => socket.on('close', () => done(split(text)))) };
}

const over = (secure) => (secure ? 'secureConnect' : 'connect');

// Asks `count` times in a row and reads nothing before resume().
export function reader(port, secure, request, count) {
  return client('reader', connect(port, secure), over(secure), (socket) => {
    socket.pause();
    socket.write(request.repeat(count));
  });
}

// A body that comes byte by byte; complete(socket) sends its last one.
export function sender(port, secure, head, length) {
  const made = client('sender', connect(port, secure), over(secure), (socket) => {
    socket.write(`${head}Content-Length: ${length}\r\n\r\n`);
    let sent = 1;
    made.timer = setInterval(() => { if (sent < length) { sent++; socket.write('x'); } }, 100);
  });
  made.done.then(() => clearInterval(made.timer));
  made.complete = () => { clearInterval(made.timer); made.socket.write('x'.repeat(length)); };
  return made;
}

// One answer, and then nothing.
export function idler(port, secure, request) {
  return client('idler', connect(port, secure), over(secure), (socket) => socket.write(request));
}

// Not even a hello.
export const silent = (port) => client('silent', net.connect(port, '127.0.0.1'), 'connect', () => {});

// HTTP/2 streams that are not read before resume().
export function streams(base, headers, count) {
  const session = http2.connect(base, { rejectUnauthorized: false });
  session.on('error', () => {});
  const all = [];
  session.once('connect', () => {
    for (let i = 0; i < count; i++) {
      const stream = session.request(headers);
      const answer = { status: 0, body: '' };
      stream.on('response', (head) => { answer.status = head[':status']; });
      stream.on('error', () => {});
      stream.pause();
      all.push({ stream, answer });
    }
  });
  const done = new Promise((finish) => session.on('close', () => finish({
    answers: all.filter(({ answer }) => answer.whole).map(({ answer }) => answer), rest: '' })));
  const resume = () => {
    for (const { stream, answer } of all) {
      stream.on('data', (chunk) => { answer.body += chunk.toString('latin1'); });
      stream.on('end', () => { answer.whole = stream.rstCode === 0 && !stream.aborted; });
      stream.resume();
    }
  };
  return { kind: 'streams', done, resume, destroy: () => session.destroy() };
}
