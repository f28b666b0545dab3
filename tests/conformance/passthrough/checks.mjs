// What must arrive as it was sent, a check for each column. A check returns nothing where all is well, else throws.
import { isDeepStrictEqual } from 'node:util';

import { ANSWERS } from './clients.mjs';
import * as probe from './probe.mjs';

export const CHECKS = {
  'tool definition': ({ lists }) => {
    const found = lists.tools.find(({ name }) => name.endsWith('full'));
    holds({ ...found, name: 'full' }, probe.FULL_TOOL);
    same(Object.keys(found).sort(), Object.keys(probe.FULL_TOOL).sort(), 'fields');
    same(lists.tools.length, probe.TOOLS.length, 'number of tools');
  },
  'resources, templates, prompts': async ({ peer, lists, names }) => {
    const [resource] = lists.resources.filter(({ name }) => name.endsWith('watched'));
    holds({ ...resource, uri: probe.WATCHED, name: 'watched' }, probe.RESOURCES[0]);
    holds({ ...lists.templates[0], uriTemplate: 'probe://item/{id}', name: 'item' }, probe.TEMPLATES[0]);
    const [prompt] = lists.prompts.filter(({ name }) => name.endsWith('greeting'));
    holds({ ...prompt, name: 'greeting' }, probe.PROMPTS[0]);
    const { result } = await peer.ask('resources/read', { uri: names.watched });
    holds(result.contents, [{ ...probe.CONTENTS[0], uri: result.contents[0].uri }]);
    const greeting = await peer.ask('prompts/get', { name: names.prompt, arguments: { who: 'Ada' } });
    holds(greeting.result, probe.prompt({ who: 'Ada' }));
  },
  'content and structured content': async ({ peer, names }) => {
    const { result } = await peer.call(names.tool('full'), { depth: 3 });
    holds(result, probe.FULL_RESULT);
    const { result: echoed } = await peer.call(names.tool('echo'), { ünï: [1, { two: '\u{1F40E}' }], none: null },
      { meta: { 'example.org/asked': { by: 'probe' } } });
    holds(JSON.parse(echoed.content[0].text), { args: { ünï: [1, { two: '\u{1F40E}' }], none: null }, meta: { by: 'probe' } });
    const { result: large } = await peer.call(names.tool('large'));
    same(large.content[0].text.length, probe.LARGE, 'length of a large answer');
    const { result: failed } = await peer.call(names.tool('fails'));
    same([failed.isError, failed.content[0].text], [true, 'it went wrong'], 'a failed tool');
  },
  'error code': async ({ peer, names }) => {
    const { error } = await peer.call(names.tool('refused'));
    holds(error, { code: probe.ERROR.code, data: probe.ERROR.data });
    if (!error.message.includes(probe.ERROR.message)) throw new Error(`the message is ${error.message}`);
  },
  progress: async ({ peer, names }) => {
    // As they come from the wire: the libraries drop steps that an answer overtakes in their own queue.
    await peer.call(names.tool('progress'), {}, { onprogress: () => {} });
    const token = peer.sent.at(-1).params._meta.progressToken;
    const steps = peer.notified('notifications/progress');
    same(steps.map(({ progressToken, progress, total, message }) => [progressToken, progress, total, message]),
      [1, 2, 3, 4].map((n) => [token, n, 4, `step ${n}`]), 'steps');
  },
  'cancel reaches and stops': async ({ peer, names }) => {
    const count = async () => Number((await peer.call(names.tool('cancelled'))).result.content[0].text);
    const before = await count();
    const stop = new AbortController();
    const slow = peer.request('tools/call', { name: names.tool('slow'), arguments: {} }, { signal: stop.signal }).catch(() => {});
    await pause(300);
    stop.abort('enough');
    await slow;
    const until = Date.now() + 5000;
    while ((await count()) !== before + 1) {
      if (Date.now() > until) throw new Error('the server went on');
      await pause(50);
    }
  },
  sampling: (at) => asks(at, 'sample'),
  elicitation: (at) => asks(at, 'elicit'),
  roots: (at) => asks(at, 'roots'),
  logging: async ({ peer, names }) => {
    const meta = await peer.wantsLogs();
    await peer.call(names.tool('log'), {}, { meta });
    const [said] = await peer.hears('notifications/message');
    holds(said, { level: 'warning', logger: 'probe', data: { said: 'something', n: 1 } });
  },
  'subscribe and updated': async ({ peer, names }) => {
    await peer.watches(names.watched);
    await peer.call(names.tool('touch'));
    const [updated] = await peer.hears('notifications/resources/updated');
    same(updated?.uri, names.watched, 'what was updated');
    await peer.stopsWatching(names.watched);
    await peer.call(names.tool('touch'));
    await pause(200);
    same(peer.notified('notifications/resources/updated').length, 1, 'updates after unsubscribing');
  },
  completion: async ({ peer, names }) => {
    for (const ref of [{ type: 'ref/prompt', name: names.prompt }, { type: 'ref/resource', uri: names.template }]) {
      const argument = { name: ref.name ? 'who' : 'id', value: 'a' };
      const { result } = await peer.ask('completion/complete', { ref, argument });
      holds(result.completion, { values: ['amber', 'azure'], total: 2, hasMore: false });
    }
  },
  'list_changed of tools, prompts, resources': async ({ peer, names }) => {
    await peer.watches(names.watched);
    const kinds = ['tools', 'prompts', 'resources'];
    const method = (kind) => `notifications/${kind}/list_changed`;
    const heard = (kind) => peer.notified(method(kind)).length;
    const listed = async () => JSON.stringify(await peer.ask('tools/list', {})).includes('spare');
    // Once without the spare ones, once with them again, so that the next client finds them.
    for (const there of [false, true]) {
      const before = Object.fromEntries(kinds.map((kind) => [kind, heard(kind)]));
      await peer.call(names.tool('change'));
      for (const kind of kinds) {
        await peer.hears(method(kind), before[kind] + 1);
        if (heard(kind) <= before[kind]) throw new Error(`nothing about ${kind}`);
      }
      same(await listed(), there, 'whether the spare tool is listed');
    }
    await peer.stopsWatching(names.watched);
  },
  instructions: async ({ peer }) => {
    const said = peer.client.getInstructions() ?? '';
    if (!said.includes(probe.INSTRUCTIONS)) throw new Error(`they are ${JSON.stringify(said)}`);
  },
};

async function asks({ peer, names }, what) {
  const before = peer.asked.length;
  const { result } = await peer.call(names.tool(what));
  const [method, params] = probe.QUESTIONS[what];
  const asked = peer.asked.slice(before);
  same(asked.map((question) => question.method), [method], 'questions');
  holds(asked[0].params ?? {}, params);
  holds(JSON.parse(result.content[0].text), ANSWERS[method]);
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function same(got, wanted, what) {
  if (!isDeepStrictEqual(got, wanted)) throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
}

// Whether everything wanted is there, at every depth. More may be there, but not in a list.
function holds(got, wanted, at = '') {
  if (wanted === null || typeof wanted !== 'object') return same(got, wanted, at || 'value');
  if (got === null || typeof got !== 'object') throw new Error(`${at || 'value'}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
  if (Array.isArray(wanted)) same(got.length, wanted.length, `length of ${at}`);
  for (const [key, value] of Object.entries(wanted)) holds(got[key], value, `${at}/${key}`);
}
