// A stdio MCP server with two tools, for the clients that start a server in order to list it. Ends when its input does.
import { createInterface } from 'node:readline'

const tools = ['alpha', 'beta'].map((name) => ({
  name,
  description: `Says that ${name} was called.`,
  inputSchema: { type: 'object', properties: {} },
}))

const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'spy', version: '1.0.0' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools }),
  'tools/call': ({ name }) => ({ content: [{ type: 'text', text: `${name} was called` }] }),
}

for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) continue // a notification
  const answer = answers[method]
  const outcome = answer
    ? { result: answer(params ?? {}) }
    : { error: { code: -32601, message: `${method} is not known here` } }
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`)
}
