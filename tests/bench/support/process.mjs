// SPDX-License-Identifier: Apache-2.0
// What the kernel says of a process: processor time and resident memory.
import { readFileSync } from 'node:fs';
import os from 'node:os';

// Nanoseconds that the process's main thread has run; our servers have no other
// that works.
export const cpuNs = (pid) => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);

// Nanoseconds of all threads.
export function cpuNsAll(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 1e7;
}

export function rssMiB(pid) {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return Number(kib) / 1024;
}

export function machine() {
  const cpus = os.cpus();
  return `${cpus.length} x ${cpus[0].model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release()}, ` +
    `load before it ${os.loadavg()[0].toFixed(2)}`;
}
