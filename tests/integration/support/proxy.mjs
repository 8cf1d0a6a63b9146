// SPDX-License-Identifier: Apache-2.0
// A TCP proxy in front of Redis that can lose announcements and count them, and
// lose a commit or its answer.
import net from 'node:net';

export class RedisProxy {
  // Once `muted`, pub/sub messages never reach the subscribers, and `loss` of them (0..1)
  // are lost at any time; everything else passes.
  // `nextCommit` is what happens to the next script: 'swallow' (Redis never gets it) or
  // 'deafen' (Redis runs it, its answer is lost); either way the connection ends, and new
  // ones are refused for `refuseMs`. `beforeCommit` is done before a script is passed on.
  static async start(redisPort) {
    const proxy = new RedisProxy();
    proxy.muted = false;
    proxy.loss = 0;
    proxy.dropped = 0;
    proxy.passed = 0;
    proxy.nextCommit = null;
    proxy.beforeCommit = null;
    proxy.refuseMs = 0;
    proxy.refuseUntil = 0;
    proxy.sockets = new Set();
    proxy.server = net.createServer((client) => proxy.join(client, redisPort));
    await new Promise((done) => { proxy.server.listen(0, '127.0.0.1', done); });
    proxy.port = proxy.server.address().port;
    return proxy;
  }

  join(client, redisPort) {
    if (Date.now() < this.refuseUntil) {
      client.destroy();
      return;
    }
    const upstream = net.connect(redisPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => { this.sockets.delete(socket); client.destroy(); upstream.destroy(); });
    }
    let deaf = false;
    client.on('data', (chunk) => {
      const commits = (this.nextCommit || this.beforeCommit) && /\r\nEVAL(SHA)?\r\n/.test(chunk.toString('latin1'));
      if (this.beforeCommit && commits) {
        client.pause();
        this.beforeCommit().then(() => { upstream.write(chunk); client.resume(); });
        return;
      }
      if (this.nextCommit && commits) {
        const what = this.nextCommit;
        this.nextCommit = null;
        this.refuseUntil = Date.now() + this.refuseMs;
        if (what === 'swallow') {
          client.destroy();
          return;
        }
        deaf = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (deaf) {
        client.destroy();
        return;
      }
      // Redis writes each pushed message at once; several may share a chunk,
      // but never with a reply on a connection that only subscribes.
      if (chunk.toString('latin1').startsWith('*3\r\n$7\r\nmessage')) {
        if (this.muted || Math.random() < this.loss) {
          this.dropped++;
          return;
        }
        this.passed++;
      }
      client.write(chunk);
    });
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((done) => { this.server.close(done); });
  }
}
