// The probe as a server of the era without a handshake, and of no other.
//   node server-2026.mjs stdio
//   node server-2026.mjs http      prints its port
import { createServer } from 'node:http';
import { Readable } from 'node:stream';

import * as probe from './probe.mjs';
import { serverSdk } from '../sdks.mjs';

const { ProtocolError, Server, createMcpHandler, inputRequired } = await serverSdk('index.mjs');

const STATE = 'a state of the probe: \u{1F40E}';
let notifier;

// Thrown by `ask` to end the call with a question; the answer comes with another call.
class Asked {
  constructor(question) {
    this.question = question;
  }
}

function make() {
  const server = new Server(
    { name: 'probe-2026', version: '1.2.3' },
    { capabilities: probe.CAPABILITIES, instructions: probe.INSTRUCTIONS },
  );
  server.setRequestHandler('tools/list', () => ({ tools: probe.tools() }));
  server.setRequestHandler('resources/list', () => ({ resources: probe.resources() }));
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: probe.TEMPLATES }));
  server.setRequestHandler('prompts/list', () => ({ prompts: probe.prompts() }));
  server.setRequestHandler('resources/read', () => ({ contents: probe.CONTENTS }));
  server.setRequestHandler('prompts/get', ({ params }) => probe.prompt(params.arguments));
  server.setRequestHandler('completion/complete', ({ params }) => probe.complete(params.argument));
  server.setRequestHandler('tools/call', async ({ params }, ctx) => {
    try {
      return await probe.call({ ...params, _meta: ctx.mcpReq._meta }, {
        token: ctx.mcpReq._meta?.progressToken,
        signal: ctx.mcpReq.signal,
        tell: (notification) => ctx.mcpReq.notify(notification),
        ask: (method, params) => {
          const given = ctx.mcpReq.inputResponses?.only;
          if (!given) throw new Asked({ method, params });
          if (ctx.mcpReq.requestState() !== STATE) throw { code: -32602, message: 'that is not my state' };
          return given;
        },
        log: ({ level, data, logger }) => ctx.mcpReq.log(level, data, logger),
        say: notifier ? {
          updated: (uri) => notifier.resourceUpdated(uri),
          tools: () => notifier.toolsChanged(),
          prompts: () => notifier.promptsChanged(),
          resources: () => notifier.resourcesChanged(),
        } : {
          updated: (uri) => server.sendResourceUpdated({ uri }),
          tools: () => server.sendToolListChanged(),
          prompts: () => server.sendPromptListChanged(),
          resources: () => server.sendResourceListChanged(),
        },
      });
    } catch (thrown) {
      if (thrown instanceof Asked) return inputRequired({ inputRequests: { only: thrown.question }, requestState: STATE });
      if (thrown instanceof Error) throw thrown;
      throw new ProtocolError(thrown.code, thrown.message, thrown.data);
    }
  });
  return server;
}

if (process.argv[2] === 'http') {
  const handler = createMcpHandler(make, { legacy: 'reject', keepAliveMs: 0 });
  notifier = handler.notify;
  const server = createServer(async (req, res) => {
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    const body = req.method === 'POST' ? Readable.toWeb(req) : undefined;
    const url = `http://${req.headers.host}${req.url}`;
    const request = new Request(url, { method: req.method, headers: req.headers, body, duplex: 'half', signal: gone.signal });
    const response = await handler.fetch(request);
    res.writeHead(response.status, Object.fromEntries(response.headers));
    if (!response.body) return void res.end();
    res.flushHeaders();
    const stream = Readable.fromWeb(response.body);
    stream.on('error', () => {});
    res.on('close', () => stream.destroy());
    stream.pipe(res);
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  const { serveStdio } = await serverSdk('stdio.mjs');
  serveStdio(make, { legacy: 'reject' });
}
