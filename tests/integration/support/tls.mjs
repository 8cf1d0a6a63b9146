// SPDX-License-Identifier: Apache-2.0
// Certificates for a test, and handshakes that are looked at.
import { execFileSync, spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';

const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });

// A self-signed certificate in <dir>/<name>.crt and .key: {certificate, key, name}.
// days may be negative: it has expired then.
export function makeCertificate(dir, name, { rsa = false, days = 30 } = {}) {
  const made = { certificate: join(dir, `${name}.crt`), key: join(dir, `${name}.key`), name };
  const key = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  openssl('req', '-newkey', ...key, '-nodes', '-keyout', made.key, '-out', join(dir, `${name}.csr`),
    '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  const start = new Date(Date.now() - 86400000 * (days < 0 ? 60 : 1));
  const end = new Date(Date.now() + 86400000 * days);
  const stamp = (time) => time.toISOString().replace(/[-:T]|\.\d+/g, '');
  // `openssl x509` of this version only counts days from now; `ca` takes times.
  openssl('ca', '-batch', '-selfsign', '-notext', '-in', join(dir, `${name}.csr`), '-keyfile', made.key,
    '-out', made.certificate, '-startdate', stamp(start), '-enddate', stamp(end), '-md', 'sha256',
    '-config', writeCa(dir, name));
  return made;
}

function writeCa(dir, name) {
  const at = join(dir, `${name}.cnf`);
  const text = `[ca]\ndefault_ca=x\n[x]\ndatabase=${at}.db\npolicy=p\nnew_certs_dir=${dir}\nunique_subject=no\nrand_serial=yes\n[p]\ncommonName=supplied\n`;
  execFileSync('sh', ['-c', `printf '%s' "$1" >"$2"; : >"$2.db"`, 'sh', text, at]);
  return at;
}

// Puts a pair in the place of another, as a renewal does: written aside, renamed.
export function installCertificate(pair, at) {
  for (const part of ['certificate', 'key']) {
    execFileSync('cp', [pair[part], `${at[part]}.new`]);
    renameSync(`${at[part]}.new`, at[part]);
  }
}

// One connection; it stays open. Rejects when there is no handshake.
export function handshake(port, options = {}) {
  return new Promise((done, fail) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...options });
    // In TLS 1.3 the tickets come with the first bytes after the handshake.
    socket.on('session', (session) => { socket.ticket = session; });
    socket.once('error', fail);
    socket.once('secureConnect', () => { socket.off('error', fail); socket.on('error', () => {}); done(socket); });
  });
}

// The name in the certificate that was shown.
export const shown = (socket) => socket.getPeerCertificate().subject.CN;

// A request by hand on an open TLS connection; its status.
export function ask(socket, path, headers = '') {
  return new Promise((done, fail) => {
    if (socket.destroyed) throw new Error('closed before the request');
    let text = '';
    const end = () => { socket.off('data', read); socket.off('close', closed); };
    const closed = () => { end(); fail(new Error(`closed after ${JSON.stringify(text)}`)); };
    const read = (chunk) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (head < 0 || text.length < head + 4 + length) return;
      end();
      done(Number(text.split(' ')[1]));
    };
    socket.on('data', read);
    socket.on('close', closed);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
  });
}

export const curl = (...args) => spawnSync('curl', ['-sk', '-m', '60', ...args], { encoding: 'utf8' });
