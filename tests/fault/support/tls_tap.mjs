// SPDX-License-Identifier: Apache-2.0
// A TLS client whose records pass through our hands: they can be held and sent
// together, and others put between them.
import net from 'node:net';
import tls from 'node:tls';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duplex } from 'node:stream';

// A record of application data that nobody can decrypt.
export const badRecord = () => Buffer.concat([Buffer.from([0x17, 3, 3, 0, 40]), randomBytes(40)]);

// A certificate of its own for localhost, in `dir`: {certificate, key, both} are paths.
export function certificate(dir) {
  const paths = { certificate: join(dir, 'tls.crt'), key: join(dir, 'tls.key'), both: join(dir, 'tls.both') };
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30',
    '-subj', '/CN=localhost', '-keyout', paths.key, '-out', paths.certificate], { stdio: 'ignore' });
  writeFileSync(paths.both, Buffer.concat([readFileSync(paths.certificate), readFileSync(paths.key)]), { mode: 0o600 });
  return paths;
}

// A connection for H2.open's `connect`.
export function overTls(port, host) {
  return new Promise((done, fail) => {
    const socket = tls.connect({ port, host, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => done(socket));
    socket.once('error', fail);
  });
}

export class TlsTap {
  // With `holdAfterHello`, everything after the first flight waits for flush().
  constructor(port, { alpn = 'http/1.1', holdAfterHello = false, ...options } = {}) {
    this.held = [];
    this.holds = false;
    this.raw = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const wire = new Duplex({
      read() {},
      write: (chunk, encoding, done) => {
        this.hello ??= Buffer.from(chunk);
        if (this.holds) this.held.push(chunk);
        else this.raw.write(chunk);
        this.holds ||= holdAfterHello;
        done();
      },
      final: (done) => done(),
    });
    this.raw.on('data', (chunk) => wire.push(chunk));
    this.closed = new Promise((done) => { this.raw.on('close', () => { this.isClosed = true; wire.push(null); done(); }); });
    this.raw.on('error', () => {});
    this.socket = tls.connect({ socket: wire, rejectUnauthorized: false, ALPNProtocols: [alpn], ...options });
    this.socket.on('error', () => {});
    this.secured = new Promise((done) => { this.socket.once('secureConnect', done); });
  }

  // What was held and then `more`, as one write.
  flush(more = Buffer.alloc(0)) {
    this.holds = false;
    this.raw.write(Buffer.concat([...this.held, more]));
    this.held = [];
  }

  destroy() { this.raw.destroy(); }
}
