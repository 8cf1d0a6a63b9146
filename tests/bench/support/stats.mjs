// SPDX-License-Identifier: Apache-2.0
// Medians and tables.

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The median of the rounds' own ratios: what slows a whole round down (a
// neighbour on the machine) drops out.
export const ratio = (ours, others) => median(ours.map((value, i) => value / others[i]));

export const row = (cells) => `| ${cells.join(' | ')} |`;
