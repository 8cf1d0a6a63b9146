// SPDX-License-Identifier: Apache-2.0
// Has the server read what we sent? The kernel knows, and attacks that need one read to end
// before the next one begins ask it: a pause of some milliseconds is too short for a busy machine.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');

const ESTABLISHED = '01';

// proc(5), /proc/net/tcp: what is known of each end of the connections over IPv4.
const ends = () => readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1, -1).map((line) => {
  const [, local, remote, state, queues] = line.trim().split(/\s+/);
  return { local: local.slice(9), remote: remote.slice(9), state, unsent: parseInt(queues.slice(0, 8), 16), unread: parseInt(queues.slice(9), 16) };
});

// The bytes that wait in both ends of a connection, 0 when it is gone.
function waiting(mine, theirs) {
  return ends().reduce((sum, end) => sum + (end.local === mine && end.remote === theirs ? end.unsent : 0) +
    (end.local === theirs && end.remote === mine ? end.unread : 0), 0);
}

// Resolves when all that was written to the socket has been read by its peer, the connection is
// over, or `ms` are.
export async function taken(socket, ms = 5000) {
  const { localPort, remotePort } = socket;
  const end = Date.now() + ms;
  while (!socket.destroyed && localPort && Date.now() < end && (socket.writableLength > 0 || waiting(hex(localPort), hex(remotePort)) > 0)) await sleep(1);
}

// Resolves when the peer has closed all of the sockets, or `ms` are over, to those that it has
// not. Who does not read would not notice it.
export async function closedByPeer(sockets, ms) {
  const until = Date.now() + ms;
  for (;;) {
    const open = new Set(ends().filter((end) => end.state === ESTABLISHED).map((end) => `${end.local} ${end.remote}`));
    const kept = sockets.filter((socket) => !socket.destroyed && socket.remotePort && open.has(`${hex(socket.remotePort)} ${hex(socket.localPort)}`));
    if (kept.length === 0 || Date.now() >= until) return kept;
    await sleep(100);
  }
}
