// SPDX-License-Identifier: Apache-2.0
// A million keys in seconds: the records that cm-admin would have written, past it
// (and so without revisions, audit and log), straight into Redis.
import { createHash } from 'node:crypto';
import net from 'node:net';
import { aliases } from './catalog.mjs';

export const secretOf = (i) => `cm-bench-${i}`;
const idOf = (i) => `key_01BENCH${String(i).padStart(19, '0')}`;

const bulk = (text) => `$${text.length}\r\n${text}\r\n`; // ASCII alone
const command = (...args) => `*${args.length}\r\n${args.map(bulk).join('')}`;

function commandsOf(i, keyAliases) {
  const sha256 = createHash('sha256').update(secretOf(i)).digest('hex');
  const id = idOf(i);
  const set = JSON.stringify(keyAliases);
  return [
    command('SET', `{cm}:key:${sha256}`, `{"rev":1,"id":"${id}","state":"active","aliases":${set}}`),
    command('HSET', '{cm}:keys', id, `{"id":"${id}","name":"bench","enabled":true,"tags":[],"created_at":1700000000,` +
      `"revision":1,"aliases":${set},"secrets":[{"sha256":"${sha256}","hint":"","until":0}]}`),
    command('ZADD', '{cm}:keyorder', '0', id),
    ...keyAliases.map((a) => command('SADD', `{cm}:refs:${a.target}`, id)),
  ].join('');
}

const REPLIES = 8; // one byte ":" or "+" starts each

export async function fill(port, count, models) {
  const socket = net.connect(port, '127.0.0.1');
  let replies = 0;
  let failed = '';
  let onEnough = () => {};
  socket.on('data', (chunk) => {
    for (const byte of chunk) replies += byte === 10;
    if (chunk.includes('-')) failed = chunk.toString();
    onEnough();
  });
  const answered = (n) => new Promise((done) => {
    onEnough = () => { if (replies >= n) done(); };
    onEnough();
  });
  const STEP = 2000;
  for (let from = 0; from < count; from += STEP) {
    const text = [];
    for (let i = from; i < Math.min(count, from + STEP); i++)
      text.push(commandsOf(i, aliases(5, models, i)));
    socket.write(text.join(''));
    await answered(Math.max(0, from - STEP) * REPLIES);
    if (failed) throw new Error(`Redis: ${failed}`);
  }
  await answered(count * REPLIES);
  socket.destroy();
}
