// SPDX-License-Identifier: Apache-2.0
// Is what a contestant answers what it must answer? Asked once over each
// protocol before the load, with the very request of the load.
import http from 'node:http';
import http2 from 'node:http2';

export function getH1(url, { path, headers }) {
  const { hostname, port } = new URL(url);
  return new Promise((done, fail) => {
    http.get({ host: hostname, port, path, headers, agent: false }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => {
        const raw = res.rawHeaders;
        const pairs = raw.flatMap((name, i) => (i % 2 ? [] : [[name.toLowerCase(), raw[i + 1]]]));
        done({ status: res.statusCode, reason: res.statusMessage, headers: pairs, body: Buffer.concat(chunks) });
      });
    }).once('error', fail);
  });
}

export function getH2(url, { path, headers }) {
  return new Promise((done, fail) => {
    const session = http2.connect(url);
    session.once('error', fail);
    const stream = session.request({ ':path': path, ...headers });
    const answer = { headers: [], body: null };
    const chunks = [];
    stream.on('response', (fields) => {
      answer.status = fields[':status'];
      answer.headers = Object.entries(fields).filter(([name]) => !name.startsWith(':'));
    });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.once('error', fail);
    stream.on('end', () => {
      answer.body = Buffer.concat(chunks);
      session.close();
      done(answer);
    });
  });
}

// Headers that a server sets by itself, or anew for each answer.
const OWN = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding', 'server'];
const IDS = ['x-request-id', 'request-id'];

export const constantHeaders = (answer) => answer.headers.filter(([name]) => !OWN.includes(name));

const named = (answer, skip) => Object.fromEntries(constantHeaders(answer).filter(([name]) => !skip.includes(name)));

export function differences(wanted, got, { ids }) {
  const skip = ids ? [] : IDS;
  const [want, have] = [named(wanted, skip), named(got, skip)];
  const out = [...new Set([...Object.keys(want), ...Object.keys(have)])]
    .filter((name) => want[name] !== have[name])
    .map((name) => `${name}: ${have[name]} instead of ${want[name]}`);
  if (got.status !== wanted.status) out.push(`status ${got.status} instead of ${wanted.status}`);
  if (!got.body.equals(wanted.body)) out.push(`another body (${got.body.length} bytes instead of ${wanted.body.length})`);
  return out;
}
