// The probe as a server of the eras with a handshake, made with the library that most servers in use were made with.
//   node server-2025.mjs stdio
//   node server-2025.mjs http      prints its port; each client has a session and a server of its own
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import * as probe from './probe.mjs';
import { sdk1 } from '../sdks.mjs';

const { Server } = await sdk1('server/index.js');
const types = await sdk1('types.js');

function make() {
  const server = new Server(
    { name: 'probe-2025', version: '1.2.3' },
    { capabilities: probe.CAPABILITIES, instructions: probe.INSTRUCTIONS },
  );
  const watched = new Set();

  const on = (schema, answer) => server.setRequestHandler(schema, answer);
  on(types.ListToolsRequestSchema, () => ({ tools: probe.tools() }));
  on(types.ListResourcesRequestSchema, () => ({ resources: probe.resources() }));
  on(types.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: probe.TEMPLATES }));
  on(types.ListPromptsRequestSchema, () => ({ prompts: probe.prompts() }));
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
        ask: (method, asked) => extra.sendRequest({ method, params: asked }, types.ResultSchema),
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
  return server;
}

if (process.argv[2] === 'http') {
  const { StreamableHTTPServerTransport } = await sdk1('server/streamableHttp.js');
  const sessions = new Map();
  const server = createServer(async (req, res) => {
    const id = req.headers['mcp-session-id'];
    if (id && !sessions.has(id)) return void res.writeHead(404).end();
    const session = sessions.get(id) ?? new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, session),
    });
    if (!id) await make().connect(session);
    await session.handleRequest(req, res);
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  const { StdioServerTransport } = await sdk1('server/stdio.js');
  await make().connect(new StdioServerTransport());
}
