// SPDX-License-Identifier: Apache-2.0
// Who sits on Redis' port while it is away: it counts who tries to connect, by the
// name that each tells in its greeting, and hangs up.
import net from 'node:net';

export class StubRedis {
  static async start(port) {
    const stub = new StubRedis();
    stub.tries = {};
    stub.server = net.createServer((socket) => {
      let text = '';
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        const name = /\r\nSETNAME\r\n\$\d+\r\n([^\r]+)\r\n/.exec(text)?.[1];
        if (!name) return;
        stub.tries[name] = (stub.tries[name] ?? 0) + 1;
        socket.destroy();
      });
    });
    await new Promise((done, fail) => {
      stub.server.once('error', fail);
      stub.server.listen(port, '127.0.0.1', done);
    });
    return stub;
  }

  async stop() {
    await new Promise((done) => { this.server.close(done); });
  }
}
