// SPDX-License-Identifier: Apache-2.0
// What the tests of the admin API share: short forms, and the proof that a refused
// request changed nothing.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');
export const etag = (revision) => `"${revision}"`;
// "#/pointer code" of each error, sorted.
export const pointers = (answer) => answer.json.errors.map((e) => `${e.pointer} ${e.code}`).sort();

let count = 0;
export const fresh = () => `acme/m${++count}`;

export class AdminClient {
  constructor(stack) { this.stack = stack; }

  redis(...args) { return this.stack.redisCli(...args); }
  async head() { return Number(await this.redis('HGET', '{cm}:head', 'rev')); }
  model(body = {}, id = fresh()) { return this.stack.must('PUT', `/models/${id}`, body); }
  key(body = {}) { return this.stack.must('POST', '/keys', { name: 'k', ...body }); }

  // The lines of the store's dump that are not as they were.
  async difference(was) {
    const [old, now] = [was, await this.stack.dump()].map((text) => text.split('\n'));
    return [...old.filter((line) => !now.includes(line)), ...now.filter((line) => !old.includes(line))];
  }

  // The request is refused with that status and code, and nothing has changed.
  async refused(status, code, method, path, body, headers) {
    const was = await this.stack.dump();
    const answer = await this.stack.call(method, path, body, headers);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal(answer.json.code, code, answer.text);
    assert.equal(answer.json.status, status);
    assert.equal(answer.json.request_id, answer.headers['x-request-id']);
    assert.ok(Array.isArray(answer.json.errors));
    assert.ok(answer.json.type && answer.json.title);
    assert.deepEqual(await this.difference(was), [], `${method} ${path} changed something`);
    return answer;
  }

  // The request is good and makes no revision.
  async unchanged(method, path, body, headers) {
    const was = await this.stack.dump();
    const answer = await this.stack.call(method, path, body, headers);
    assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
    assert.deepEqual(await this.difference(was), [], `${method} ${path} changed something`);
    return answer;
  }
}
