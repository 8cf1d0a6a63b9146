// SPDX-License-Identifier: Apache-2.0
// Machines for a test: network namespaces on a bridge of their own, and a leg into the
// namespace of the test. Between any two of them the way can be cut without anybody
// being told (a blackhole route), and healed.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

function ip(...args) {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

export class Net {
  // Why there can be none here, or null.
  static obstacle() {
    const name = `cm-probe-${process.pid}`;
    try {
      ip('netns', 'add', name);
    } catch (error) {
      return `the kernel gives us no network namespace (${error.message})`;
    }
    try {
      ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', name, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
      return null;
    } catch (error) {
      return `the kernel gives us no bridge or veth (${error.message})`;
    } finally {
      ip('netns', 'del', name);
    }
  }

  // names: of the machines. The test's own namespace is 'here'.
  static create(...names) {
    const net = new Net();
    net.id = randomInt(0x10000).toString(16).padStart(4, '0');
    net.subnet = `10.${randomInt(64, 250)}.${randomInt(1, 250)}`;
    net.made = [];
    net.hosts = { here: `${net.subnet}.1` };
    try {
      net.hub = net.makeNamespace('hub');
      ip('-n', net.hub, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', net.hub, 'link', 'set', 'br0', 'up');
      net.plug('here', null, 1);
      names.forEach((name, i) => net.plug(name, net.makeNamespace(name), i + 2));
    } catch (error) {
      net.remove();
      throw error;
    }
    return net;
  }

  makeNamespace(name) {
    const full = `cm-${this.id}-${name}`;
    ip('netns', 'add', full);
    this.made.push(full);
    ip('-n', full, 'link', 'set', 'lo', 'up');
    return full;
  }

  // A cable from that namespace (null: ours) to the bridge.
  plug(name, namespace, number) {
    const [end, port] = [`cm${this.id}a${number}`, `cm${this.id}b${number}`];
    const there = namespace ? ['-n', namespace] : [];
    ip('-n', this.hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', end,
      'netns', namespace ?? String(process.pid));
    ip('-n', this.hub, 'link', 'set', port, 'master', 'br0', 'up');
    ip(...there, 'addr', 'add', `${this.subnet}.${number}/24`, 'dev', end);
    ip(...there, 'link', 'set', end, 'up');
    this.hosts[name] = `${this.subnet}.${number}`;
  }

  // How to run a program there: the words before its own.
  prefix(name) { return ['ip', 'netns', 'exec', `cm-${this.id}-${name}`]; }

  // What goes to `to` is lost at `from`, without a word. ('here' stays as it is.)
  drop(from, to) { ip('-n', `cm-${this.id}-${from}`, 'route', 'add', 'blackhole', `${this.hosts[to]}/32`); }
  undrop(from, to) { ip('-n', `cm-${this.id}-${from}`, 'route', 'del', 'blackhole', `${this.hosts[to]}/32`); }

  cut(a, b) {
    for (const [from, to] of [[a, b], [b, a]]) if (from !== 'here') this.drop(from, to);
  }

  heal(a, b) {
    for (const [from, to] of [[a, b], [b, a]]) if (from !== 'here') this.undrop(from, to);
  }

  remove() {
    for (const name of this.made.reverse()) spawnSync('ip', ['netns', 'del', name]);
    this.made = [];
  }
}
