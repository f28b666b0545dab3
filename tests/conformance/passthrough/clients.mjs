// A client of each era, made with the protocol's own libraries, with one face for the checks.
//
// What arrives is kept as it came from the wire, before the library looks at it: a field that the library does not know
// must pass as well.
import { clientSdk, sdk1 } from '../sdks.mjs';

export const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };
export const ANSWERS = {
  'sampling/createMessage': { model: 'probe-model', role: 'assistant', content: { type: 'text', text: 'Quite deep.' }, stopReason: 'endTurn' },
  'elicitation/create': { action: 'accept', content: { depth: 5 } },
  'roots/list': { roots: [{ uri: 'file:///probe/root', name: 'root' }] },
};
const INFO = { name: 'probe-client', version: '3.2.1' };
const PATIENCE = 5000;

class Peer {
  messages = [];
  sent = [];
  asked = [];

  // From now on everything that arrives or leaves is kept.
  keep(transport) {
    const [onmessage, send] = [transport.onmessage, transport.send.bind(transport)];
    transport.onmessage = (message, extra) => {
      this.messages.push(message);
      onmessage(message, extra);
    };
    transport.send = (message, options) => {
      this.sent.push(message);
      return send(message, options);
    };
  }

  answerTo(method, params) {
    this.asked.push({ method, params });
    return ANSWERS[method];
  }

  notified(method) {
    return this.messages.filter((message) => message.method === method).map((message) => message.params);
  }

  // Waits until there are so many notifications of this kind, or too long.
  async hears(method, count = 1) {
    const until = Date.now() + PATIENCE;
    while (this.notified(method).length < count && Date.now() < until) await new Promise((done) => setTimeout(done, 10));
    return this.notified(method);
  }

  // The answer to this request, from the wire: `result`, or `error`.
  async ask(method, params, options) {
    const before = this.messages.length;
    await this.request(method, params, options).catch((error) => {
      if (this.messages.length === before) throw error;
    });
    const answers = this.messages.slice(before).filter((message) => message.result ?? message.error);
    return answers.at(-1);
  }

  async call(name, args = {}, options = {}) {
    const { meta, ...rest } = options;
    return this.ask('tools/call', { name, arguments: args, ...(meta && { _meta: meta }) }, rest);
  }
}

export class Legacy extends Peer {
  static async connect(transport) {
    const { Client } = await sdk1('client/index.js');
    const types = await sdk1('types.js');
    const peer = new Legacy();
    peer.types = types;
    peer.client = new Client(INFO, { capabilities: CAPABILITIES });
    for (const schema of ['CreateMessageRequestSchema', 'ElicitRequestSchema', 'ListRootsRequestSchema']) {
      peer.client.setRequestHandler(types[schema], ({ method, params }) => peer.answerTo(method, params));
    }
    await peer.client.connect(transport);
    peer.keep(transport);
    return peer;
  }

  static async http(url, headers) {
    const { StreamableHTTPClientTransport } = await sdk1('client/streamableHttp.js');
    return this.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  }

  static async stdio([command, ...args], env, cwd) {
    const { StdioClientTransport } = await sdk1('client/stdio.js');
    return this.connect(new StdioClientTransport({ command, args, env: { ...process.env, ...env }, cwd, stderr: 'ignore' }));
  }

  request(method, params, options) {
    return this.client.request({ method, params }, this.types.ResultSchema, options);
  }

  async wantsLogs() {
    await this.client.setLoggingLevel('debug');
    return {};
  }

  async watches(uri) {
    await this.client.subscribeResource({ uri });
  }

  async stopsWatching(uri) {
    await this.client.unsubscribeResource({ uri });
  }
}

export class Modern extends Peer {
  static async connect(transport) {
    const { Client } = await clientSdk('index.mjs');
    const peer = new Modern();
    peer.client = new Client(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode: { pin: '2026-07-28' } } });
    for (const method of Object.keys(ANSWERS)) {
      peer.client.setRequestHandler(method, ({ params }) => peer.answerTo(method, params));
    }
    await peer.client.connect(transport);
    peer.keep(transport);
    return peer;
  }

  static async http(url, headers) {
    const { StreamableHTTPClientTransport } = await clientSdk('index.mjs');
    return this.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  }

  static async stdio([command, ...args], env, cwd) {
    const { StdioClientTransport } = await clientSdk('stdio.mjs');
    return this.connect(new StdioClientTransport({ command, args, env: { ...process.env, ...env }, cwd, stderr: 'ignore' }));
  }

  request(method, params, options) {
    return this.client.request({ method, params }, options);
  }

  async wantsLogs() {
    return { 'io.modelcontextprotocol/logLevel': 'debug' };
  }

  async watches(uri) {
    const filter = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: [uri] };
    this.listening = await this.client.listen(filter);
  }

  async stopsWatching() {
    await this.listening.close();
  }
}
