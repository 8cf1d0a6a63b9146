// SPDX-License-Identifier: Apache-2.0
// Who is attacked: libh2o alone (bare_h2o), to show that an attack is real.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { root } from '../../integration/support/stack.mjs';

const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan');

export class Bare {
  static async start(args = []) {
    const bare = new Bare();
    bare.child = spawn(resolve(bin, 'tests/bare_h2o'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    bare.err = '';
    bare.child.stderr.on('data', (chunk) => { bare.err = (bare.err + chunk).slice(-2000); });
    bare.exited = once(bare.child, 'exit').then(([code, signal]) => { bare.exit = { code, signal }; });
    const [line] = await once(bare.child.stdout, 'data');
    bare.port = Number(/^port (\d+)/.exec(line)[1]);
    return bare;
  }

  target(extra = {}) {
    return { port: this.port, small: { path: '/small', length: 100 }, large: { path: '/large', length: 150000 }, ...extra };
  }

  async stop() {
    if (!this.exit) this.child.kill('SIGKILL');
    await this.exited;
  }
}
