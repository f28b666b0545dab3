// The probe as a server of the eras with a handshake, made with the library that most servers in use were made with.
//   node server-2025.mjs        over stdio
import * as probe from './probe.mjs';
import { sdk1 } from '../sdks.mjs';

const { Server } = await sdk1('server/index.js');
const { StdioServerTransport } = await sdk1('server/stdio.js');
const types = await sdk1('types.js');

const server = new Server(
  { name: 'probe-2025', version: '1.2.3' },
  { capabilities: probe.CAPABILITIES, instructions: probe.INSTRUCTIONS },
);
const watched = new Set();
const any = types.ResultSchema;

const on = (schema, answer) => server.setRequestHandler(schema, answer);
on(types.ListToolsRequestSchema, () => ({ tools: probe.TOOLS }));
on(types.ListResourcesRequestSchema, () => ({ resources: probe.RESOURCES }));
on(types.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: probe.TEMPLATES }));
on(types.ListPromptsRequestSchema, () => ({ prompts: probe.PROMPTS }));
on(types.ReadResourceRequestSchema, () => ({ contents: probe.CONTENTS }));
on(types.GetPromptRequestSchema, ({ params }) => probe.prompt(params.arguments));
on(types.CompleteRequestSchema, ({ params }) => probe.complete(params.argument));
on(types.SubscribeRequestSchema, ({ params }) => (watched.add(params.uri), {}));
on(types.UnsubscribeRequestSchema, ({ params }) => (watched.delete(params.uri), {}));
on(types.CallToolRequestSchema, async ({ params }, extra) => {
  try {
    return await probe.call(params, {
      token: params._meta?.progressToken,
      signal: extra.signal,
      tell: (notification) => extra.sendNotification(notification),
      ask: (method, asked) => extra.sendRequest({ method, params: asked }, any),
      log: (params) => server.sendLoggingMessage(params),
      say: {
        updated: async (uri) => watched.has(uri) && server.sendResourceUpdated({ uri }),
        tools: () => server.sendToolListChanged(),
        prompts: () => server.sendPromptListChanged(),
        resources: () => server.sendResourceListChanged(),
      },
    });
  } catch (refused) {
    if (refused instanceof Error) throw refused;
    throw Object.assign(new Error(refused.message), refused);
  }
});

await server.connect(new StdioServerTransport());
