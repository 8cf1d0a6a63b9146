// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';

// One command at one server { host, port, prefix, user, password }, asked from where it
// runs; raw output without the last line feed.
export async function ask({ host, port, prefix, user, password }, ...args) {
  const login = user ? ['--user', user, '--pass', password, '--no-auth-warning'] : [];
  const [command, ...rest] = [...prefix, 'redis-cli', '-h', host, '-p', String(port), ...login, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  await new Promise((done) => { child.once('close', done); });
  return out.replace(/\n$/, '');
}
