// What the probe servers offer, in neither era: a server of each era answers with it. The checks know it, too, to say
// whether what arrived is what was sent.
//
// A tool gets what it needs of its era from `ctx`: `tell` (a notification that belongs to the call), `ask` (a question to
// the caller), `say` (one that belongs to nobody), `signal` (aborted when the call is cancelled), `token` (for progress).

export const INSTRUCTIONS = 'Probe me: every word of this must arrive.';
export const WATCHED = 'probe://watched';
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
export const LARGE = 3_000_000;

const nothing = { type: 'object', properties: {} };

// Everything that a definition may have, and something that no revision knows yet.
export const FULL_TOOL = {
  name: 'full',
  title: 'A full definition',
  description: 'Has every field.',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { depth: { type: 'integer', minimum: 0, default: 3 } },
    additionalProperties: false,
  },
  outputSchema: { type: 'object', properties: { depth: { type: 'integer' } }, required: ['depth'] },
  annotations: { title: 'Full', readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  icons: [{ src: `data:image/png;base64,${PNG}`, mimeType: 'image/png', sizes: ['1x1'] }],
  _meta: { 'example.org/kind': { nested: [1, 2.5, null, true] } },
};

export const FULL_RESULT = {
  content: [
    { type: 'text', text: 'ünï\u2028cödé \u{1F40E}', annotations: { audience: ['user'], priority: 0.5 } },
    { type: 'image', data: PNG, mimeType: 'image/png', _meta: { 'example.org/of': 'image' } },
    { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav' },
    { type: 'resource_link', uri: WATCHED, name: 'watched', mimeType: 'text/plain', size: 3 },
    { type: 'resource', resource: { uri: 'probe://inside', mimeType: 'text/plain', text: 'inside', _meta: { a: 1 } } },
  ],
  structuredContent: { depth: 3, list: [1, 'two', null], more: { deep: { er: true } } },
  _meta: { 'example.org/result': 'kept' },
};
export const ERROR = { code: -31999, message: 'an error of the probe', data: { why: ['because'], at: 3 } };

// Taken out of every list and put back by the tool `change`.
let spare = true;
const lists = (list) => list.filter(({ name }) => spare || name !== 'spare');

export const tools = () => lists(TOOLS);
export const resources = () => lists(RESOURCES);
export const prompts = () => lists(PROMPTS);

export const TOOLS = [
  FULL_TOOL,
  ...['large', 'refused', 'fails', 'progress', 'slow', 'cancelled', 'sample', 'elicit', 'roots', 'log', 'touch', 'change', 'echo', 'spare']
    .map((name) => ({ name, description: `The ${name} check.`, inputSchema: { ...nothing, additionalProperties: true } })),
];
export const RESOURCES = [
  { uri: WATCHED, name: 'watched', title: 'Watched', description: 'May change', mimeType: 'text/plain', annotations: { priority: 1 } },
  { uri: 'probe://spare', name: 'spare' },
];
export const TEMPLATES = [{ uriTemplate: 'probe://item/{id}', name: 'item', description: 'One of many', mimeType: 'text/plain' }];
export const PROMPTS = [
  { name: 'greeting', title: 'Greeting', description: 'Greets', arguments: [{ name: 'who', description: 'Whom', required: true }] },
  { name: 'spare' },
];
export const CONTENTS = [{ uri: WATCHED, mimeType: 'text/plain', text: 'as it is', _meta: { 'example.org/read': true } }];

export const prompt = ({ who }) => ({
  description: 'A greeting',
  messages: [{ role: 'user', content: { type: 'text', text: `Greet ${who}.` } }],
});
export const complete = ({ value }) => {
  const values = ['amber', 'azure', 'blue'].filter((word) => word.startsWith(value));
  return { completion: { values, total: values.length, hasMore: false } };
};

export const QUESTIONS = {
  sample: ['sampling/createMessage', {
    messages: [{ role: 'user', content: { type: 'text', text: 'How deep?' } }],
    maxTokens: 77, temperature: 0.25, systemPrompt: 'Be brief.', metadata: { probe: true },
  }],
  elicit: ['elicitation/create', {
    mode: 'form', message: 'How deep?',
    requestedSchema: { type: 'object', properties: { depth: { type: 'integer', default: 3 } }, required: ['depth'] },
  }],
  roots: ['roots/list', {}],
};

const text = (value) => ({ content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] });
let cancelled = 0;

const RUN = {
  full: () => FULL_RESULT,
  echo: ({ arguments: args, _meta }) => text({ args, meta: _meta?.['example.org/asked'] ?? null }),
  large: () => text('x'.repeat(LARGE)),
  refused: () => { throw ERROR; },
  fails: () => ({ ...text('it went wrong'), isError: true }),
  progress: async (_, ctx) => {
    for (let progress = 1; progress <= 4; progress++) {
      const params = { progressToken: ctx.token, progress, total: 4, message: `step ${progress}` };
      await ctx.tell({ method: 'notifications/progress', params });
    }
    return text('done');
  },
  slow: (_, ctx) => new Promise((done) => {
    const last = setTimeout(() => done(text('too late')), 20_000);
    ctx.signal.addEventListener('abort', () => {
      cancelled += 1;
      clearTimeout(last);
      done(text('stopped'));
    });
  }),
  cancelled: () => text(String(cancelled)),
  sample: async (_, ctx) => text(await ctx.ask(...QUESTIONS.sample)),
  elicit: async (_, ctx) => text(await ctx.ask(...QUESTIONS.elicit)),
  roots: async (_, ctx) => text(await ctx.ask(...QUESTIONS.roots)),
  log: async (_, ctx) => {
    await ctx.log({ level: 'warning', logger: 'probe', data: { said: 'something', n: 1 } });
    // Over HTTP the two may go different ways; a log that the answer overtakes belongs to no call any more.
    await new Promise((done) => setTimeout(done, 100));
    return text('logged');
  },
  touch: async (_, ctx) => {
    await ctx.say.updated(WATCHED);
    return text('touched');
  },
  spare: () => text('still here'),
  change: async (_, ctx) => {
    spare = !spare;
    await ctx.say.tools();
    await ctx.say.prompts();
    await ctx.say.resources();
    return text('changed');
  },
};

export const call = (params, ctx) => {
  const run = RUN[params.name];
  if (!run) throw { code: -32602, message: `no tool is called ${params.name}` };
  return run(params, ctx);
};

export const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  prompts: { listChanged: true },
  completions: {},
  logging: {},
};
