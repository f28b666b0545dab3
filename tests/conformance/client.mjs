#!/usr/bin/env node
// The client that the client suites run: `client.mjs URL`, with the scenario in MCP_CONFORMANCE_SCENARIO.
//
// It is what an AI client is to `mcpkeel exec`: it speaks over stdio, in the era that is asked for, and knows nothing else.
// What the suites look at (headers, sessions, streams that break off, versions that are refused) is all done by mcpkeel.
// A question that comes as an answer is left to mcpkeel, too: in that scenario the client is of the older era.
// mcpkeel signs in nowhere, so where the scenario is about that, the client is `conformance-client`, which does.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
if (scenario?.startsWith('auth/')) {
  const { status } = spawnSync(process.env.MCPKEEL_CONFORMANCE_BIN, ['conformance-client', url], { stdio: 'inherit' });
  process.exit(status ?? 1);
}
const asks = 'sep-2322-client-request-state';
const isModern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28' && scenario !== asks;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

const home = mkdtempSync(join(tmpdir(), 'client-'));
writeFileSync(join(home, 'mcp.yaml'), JSON.stringify({ version: 1, servers: { suite: { url } } }));
const server = spawn(process.env.MCPKEEL_BIN, ['exec', 'suite', '-f', 'mcp.yaml'], {
  cwd: home,
  env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home },
  stdio: ['pipe', 'pipe', 'inherit'],
});
let last = 0;
const waiting = new Map();
createInterface({ input: server.stdout }).on('line', (line) => hear(JSON.parse(line)));
server.on('exit', (code) => {
  if (waiting.size === 0) return;
  console.error(`mcpkeel ended with ${code}`);
  process.exit(1);
});

const tell = (message) => server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

const info = { name: 'conformance', version: '1.0.0' };
const capabilities = { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} };
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': info,
  'io.modelcontextprotocol/clientCapabilities': capabilities,
};

function ask(method, params = {}) {
  const id = ++last;
  tell({ id, method, params: isModern ? { ...params, _meta: meta } : params });
  return new Promise((done, failed) => waiting.set(id, { done, failed }));
}

function hear(message) {
  if (message.method && message.id !== undefined) return tell({ id: message.id, ...reply(message) });
  const asked = waiting.get(message.id);
  waiting.delete(message.id);
  if (message.error) asked?.failed(new Error(JSON.stringify(message.error)));
  else asked?.done(message.result);
}

// What a person, a model and a file system say to a server that asks.
function reply({ method, params }) {
  switch (method) {
    case 'elicitation/create': return { result: { action: 'accept', content: filledIn(params.requestedSchema) } };
    case 'sampling/createMessage': {
      return { result: { role: 'assistant', model: 'none', content: { type: 'text', text: 'A model says so.' } } };
    }
    case 'roots/list': return { result: { roots: [{ uri: 'file:///home', name: 'home' }] } };
    case 'ping': return { result: {} };
    default: return { error: { code: -32601, message: 'Method not found' } };
  }
}

// A person who leaves every default as it is, and says yes to the rest.
function filledIn({ properties = {} }) {
  const answer = ({ type, enum: choices, default: given }) =>
    given ?? choices?.[0] ?? { string: 'text', integer: 1, number: 1, boolean: true, array: [] }[type];
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, answer(schema)]));
}

// Arguments for a tool of which only the schema is known.
const arguments_ = ({ inputSchema }) => filledIn({
  properties: Object.fromEntries(Object.entries(inputSchema.properties ?? {}).map(([name, schema]) =>
    [name, name === 'a' || name === 'b' ? { type: 'number', default: 5 } : schema])),
});

try {
  if (isModern) {
    await ask('server/discover').catch((refused) => {
      // A version was refused and others are offered; ours is the only one that we have.
      const { code, data } = JSON.parse(refused.message);
      if (code !== -32022 || !data.supported.includes('2026-07-28')) throw refused;
      return ask('server/discover');
    });
  } else {
    await ask('initialize', { protocolVersion: '2025-11-25', capabilities, clientInfo: info });
    tell({ method: 'notifications/initialized' });
  }
  const { tools } = await ask('tools/list');
  const wanted = context.toolCalls ?? tools.map((tool) => ({ name: tool.name, arguments: arguments_(tool) }));
  for (const call of wanted) await ask('tools/call', call).catch((error) => console.error(`${call.name}: ${error.message}`));
  if (scenario === 'json-schema-2020-12-preservation') {
    await ask('tools/call', { name: tools[1].name, arguments: { schema: tools[0].inputSchema } });
  }
  if (scenario === 'http-standard-headers') {
    const { resources } = await ask('resources/list');
    await ask('resources/read', { uri: resources[0].uri });
    const { prompts } = await ask('prompts/list');
    await ask('prompts/get', { name: prompts[0].name, arguments: {} });
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
server.stdin.end();
await new Promise((done) => server.on('exit', done));
rmSync(home, { recursive: true, force: true });
