// SPDX-License-Identifier: Apache-2.0
// A made-up catalog of any size, with objects as long as those of real
// providers, and the public answers that follow from it, written down here a
// second time: what a server under load returns is compared with these bytes.

const vendors = ['openai', 'anthropic', 'deepseek', 'google', 'mistralai', 'qwen', 'meta-llama', 'x-ai'];
const inputs = [['text'], ['text', 'image'], ['text', 'image', 'file'], ['audio', 'text']];
const flags = [['tools'], ['structured_outputs', 'tools'], ['reasoning', 'structured_outputs', 'tools'], []];

export function model(i) {
  const vendor = vendors[i % vendors.length];
  return {
    id: `${vendor}/model-${String(i).padStart(5, '0')}-instruct`,
    display_name: `${vendor} Model ${i} Instruct`,
    created: 1700000000 + i * 3600,
    owned_by: vendor,
    context_length: 8192 << (i % 6),
    max_completion_tokens: 4096 << (i % 4),
    architecture: { input_modalities: inputs[i % inputs.length], output_modalities: ['text'] },
    capabilities: Object.fromEntries(flags[(i >> 2) % flags.length].map((flag) => [flag, true])),
  };
}

export const catalog = (count) => Array.from({ length: count }, (_, i) => model(i));

// from: where in the catalog their targets begin.
export function aliases(count, models, from = 0) {
  return Array.from({ length: count }, (_, i) => ({
    match: i % 2 ? 'prefix' : 'exact', name: `team-alias-${i}`, target: models[(from + i * 7) % models.length].id,
  }));
}

// The public object, with the alias's name when there is one.
export function publicObject(m, alias) {
  return {
    id: alias ?? m.id,
    object: 'model',
    type: 'model',
    display_name: m.display_name,
    created: m.created,
    created_at: `${new Date(m.created * 1000).toISOString().slice(0, 19)}+00:00`,
    owned_by: m.owned_by,
    context_length: m.context_length,
    max_completion_tokens: m.max_completion_tokens,
    architecture: m.architecture,
    ...(Object.keys(m.capabilities).length > 0 ? { capabilities: m.capabilities } : {}),
    ...(alias === undefined ? {} : { root: m.id }),
  };
}

export function publicList(models, keyAliases) {
  const byId = new Map(models.map((m) => [m.id, m]));
  const data = [...keyAliases.map((a) => publicObject(byId.get(a.target), a.name)),
    ...models.map((m) => publicObject(m))];
  return { object: 'list', data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}
