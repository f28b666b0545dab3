// A server of the 2026-07-28 era and no other, with a bearer token where there is HTTP.
//
//   SDK=.../node_modules/@modelcontextprotocol/server node modern_server.mjs http    prints its port, then what happens
//   SDK=... node modern_server.mjs stdio
//   ERAS=both SDK=... node modern_server.mjs http    speaks the older eras as well
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const load = (file) => import(pathToFileURL(`${process.env.SDK}/dist/${file}`));
const { McpServer, createMcpHandler, fromJsonSchema, inputRequired, acceptedContent } = await load('index.mjs');

const http = process.argv[2] === 'http';
const eras = process.env.ERAS === 'both' ? {} : { legacy: 'reject' };
const say = (text) => (http ? process.stdout : process.stderr).write(`${text}\n`);
const text = (text) => ({ content: [{ type: 'text', text }] });
const schema = (properties) => fromJsonSchema({ type: 'object', properties });
let handler;

function make() {
  const server = new McpServer(
    { name: 'modern', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true }, logging: {} }, instructions: 'be kind' },
  );
  server.registerTool('echo', { inputSchema: schema({ text: { type: 'string' } }) }, async (args) => text(args.text));
  server.registerTool(
    'regional',
    { inputSchema: schema({ region: { type: 'string', 'x-mcp-header': 'Region' } }) },
    async (args) => text(`in ${args.region}`),
  );
  server.registerTool('delete_all', { inputSchema: schema({}) }, async () => {
    say('deleted');
    return text('deleted');
  });
  server.registerTool('slow', { inputSchema: schema({}) }, (_, ctx) => new Promise((done) => {
    say('slow begins');
    ctx.mcpReq.signal.addEventListener('abort', () => {
      say('slow cancelled');
      done(text('cancelled'));
    });
  }));
  server.registerTool('progress', { inputSchema: schema({}) }, async (_, ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= 3; progress++) {
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
    }
    await ctx.mcpReq.log('info', 'halfway');
    return text('done');
  });
  const asked = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
  server.registerTool('greet', { inputSchema: schema({}) }, async (_, ctx) => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'who');
    if (answer) return text(`hello ${answer.name}`);
    if (ctx.mcpReq.inputResponses) return text('nobody');
    return inputRequired({
      inputRequests: { who: inputRequired.elicit({ message: 'Who is there?', requestedSchema: asked }) },
    });
  });
  server.registerTool('change', { inputSchema: schema({}) }, async () => {
    handler?.notify.toolsChanged();
    return text('changed');
  });
  return server;
}

if (http) {
  handler = createMcpHandler(make, { ...eras, keepAliveMs: 0 });
  const server = createServer(async (req, res) => {
    if (req.headers.authorization !== 'Bearer open-sesame') {
      res.writeHead(401).end();
      return;
    }
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    const body = req.method === 'POST' ? Readable.toWeb(req) : undefined;
    const request = new Request(`http://${req.headers.host}${req.url}`, {
      method: req.method, headers: req.headers, body, duplex: 'half', signal: gone.signal,
    });
    const response = await handler.fetch(request);
    res.writeHead(response.status, Object.fromEntries(response.headers));
    if (!response.body) return void res.end();
    const stream = Readable.fromWeb(response.body);
    stream.on('error', () => {});
    res.on('close', () => stream.destroy());
    stream.pipe(res);
  });
  server.listen(0, '127.0.0.1', () => say(server.address().port));
} else {
  const { serveStdio } = await load('stdio.mjs');
  serveStdio(make, { legacy: 'reject' });
}
