// SPDX-License-Identifier: Apache-2.0
// Honest clients of every kind, each with one request at a time, until they are
// told to stop. What a client may do, it does: a request that was not looked at
// (HTTP/2 says so), or whose connection had been used before and ended without a
// byte of an answer, is sent again (RFC 9113, 8.7; RFC 9110, 9.2.2). Those are
// counted apart, as `refused` and `lost`.
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOSE = { rejectUnauthorized: false };

// {status} or an error whose `again` says why the request may be repeated, if so.
function once(get, url, options) {
  return new Promise((done, fail) => {
    const req = get(url, options, (res) => {
      let length = 0;
      res.on('data', (chunk) => { length += chunk.length; });
      res.on('error', fail);
      res.on('end', () => done({ status: res.statusCode, length }));
    });
    req.setTimeout(20000, () => req.destroy(new Error('timeout')));
    req.on('error', (error) => fail(Object.assign(error, { again: req.reusedSocket && !req.res ? 'lost' : undefined })));
  });
}

function http1(base, path, headers, keep) {
  const secure = base.startsWith('https');
  const lib = secure ? https : http;
  const agent = keep ? new lib.Agent({ keepAlive: true, maxSockets: 1, ...LOOSE }) : false;
  return {
    get: () => once(lib.get, base + path, { agent, headers, ...(secure ? LOOSE : {}) }),
    end: () => agent && agent.destroy(),
  };
}

// One session as long as it lasts; GOAWAY makes the next request open another.
function overHttp2(base, path, headers) {
  let session;
  const open = () => {
    const opened = http2.connect(base, LOOSE);
    opened.on('error', () => {});
    opened.on('goaway', (code, last) => { opened.last = last; if (session === opened) session = undefined; });
    opened.on('close', () => { if (session === opened) session = undefined; });
    return opened;
  };
  return {
    get: () => new Promise((done, fail) => {
      session ??= open();
      const mine = session, stream = mine.request({ ':path': path, ...headers });
      let status, length = 0, error;
      stream.setTimeout(20000, () => stream.destroy(new Error('timeout')));
      stream.on('response', (head) => { status = head[':status']; });
      stream.on('data', (chunk) => { length += chunk.length; });
      stream.on('error', (e) => { error = e; });
      stream.on('close', () => {
        if (!error && status !== undefined && stream.rstCode === 0) return done({ status, length });
        error ??= new Error(`stream ended with ${stream.rstCode}, status ${status}`);
        const refused = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined ||
          (mine.last !== undefined && stream.id > mine.last);
        const lost = stream.id > 1 && (mine.destroyed || error.code === 'ECONNRESET');
        error.again = status !== undefined ? undefined : refused ? 'refused' : lost ? 'lost' : undefined;
        return fail(error);
      });
      stream.end();
    }),
    end: () => session?.destroy(),
  };
}

const KINDS = {
  'HTTP/1 close': (base, ...rest) => http1(base, ...rest, false),
  'HTTP/1 keep-alive': (base, ...rest) => http1(base, ...rest, true),
  'HTTP/2': overHttp2,
};

// Starts `each` clients of every kind on every base URL. stop() resolves to
// {kinds: {name: {answered, refused, lost}}, failed: [{kind, error, began, ended}]}.
export function startLoad({ bases, path, headers, each = 2, expect = 200, pauseMs = 0 }) {
  const result = { kinds: {}, failed: [] };
  let going = true;
  const clients = [];
  async function run(name, client, counts) {
    while (going) {
      const began = performance.now();
      try {
        const { status } = await client.get();
        if (status !== expect) throw new Error(`status ${status}`);
        counts.answered++;
      } catch (error) {
        if (error.again) counts[error.again]++;
        else result.failed.push({ kind: name, error: error.code ?? error.message, began, ended: performance.now() });
      }
      if (pauseMs) await sleep(pauseMs);
    }
    client.end();
  }
  for (const base of bases)
    for (const [kind, make] of Object.entries(KINDS)) {
      const name = `${kind} ${base.startsWith('https') ? 'TLS' : 'clear'}`;
      const counts = result.kinds[name] = { answered: 0, refused: 0, lost: 0 };
      for (let i = 0; i < each; i++) clients.push(run(name, make(base, path, headers), counts));
    }
  return {
    result,
    stop: async () => { going = false; await Promise.all(clients); return result; },
  };
}

export const describe = (result) => Object.entries(result.kinds)
  .map(([name, { answered, refused, lost }]) => `${name} ${answered}${refused ? ` (${refused} sent again: refused)` : ''}${
    lost ? ` (${lost} sent again: lost)` : ''}`).join(', ');
