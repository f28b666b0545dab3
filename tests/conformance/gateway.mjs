// `mcpkeel up` in a home of its own, with these servers behind it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start } from './processes.mjs';

const PATIENCE = 30_000;

export class Gateway {
  // `servers` as the manifest has them; `known` is a tool that each lists when it can be asked.
  static async start(servers, known) {
    const gateway = new Gateway();
    gateway.port = await freePort();
    const manifest = {
      version: 1,
      servers,
      gateway: { listen: `127.0.0.1:${gateway.port}` },
      // What `mcpkeel connect` says that it is; its file is in the home as well.
      clients: { cursor: { servers: ['*'], delivery: 'gateway' } },
    };
    writeFileSync(join(gateway.home, 'mcp.yaml'), JSON.stringify(manifest, null, 2));
    // A token that was made elsewhere, for state that is there already.
    gateway.token = process.env.MCPKEEL_TOKEN
      ?? gateway.mcpkeel('token', 'create', 'conformance').trim();
    gateway.up = start([process.env.MCPKEEL_BIN, 'up', '-q', '-f', 'mcp.yaml'], gateway.env, { cwd: gateway.home });
    gateway.up.stdout.resume();
    await Promise.all(Object.keys(servers).map((server) => gateway.answers(server, known)));
    return gateway;
  }

  constructor() {
    this.home = mkdtempSync(join(tmpdir(), 'gateway-'));
    process.on('exit', () => rmSync(this.home, { recursive: true, force: true }));
    const below = (name) => join(this.home, name);
    mkdirSync(below('run'), { mode: 0o700 });
    this.env = {
      HOME: this.home,
      XDG_CONFIG_HOME: below('.config'),
      XDG_STATE_HOME: below('.local/state'),
      XDG_RUNTIME_DIR: below('run'),
    };
  }

  stop() {
    const ended = new Promise((done) => this.up.on('exit', done));
    this.up.kill('SIGTERM');
    return ended;
  }

  mcpkeel(...args) {
    const env = { ...process.env, ...this.env };
    return execFileSync(process.env.MCPKEEL_BIN, ['-q', ...args], { cwd: this.home, env, encoding: 'utf8' });
  }

  // Of one server, or of all.
  url(server) {
    return `http://127.0.0.1:${this.port}/mcp${server ? `/${server}` : ''}`;
  }

  // Waits until this server can be asked.
  async answers(server, known) {
    const until = Date.now() + PATIENCE;
    while (!(await this.lists(server, known))) {
      if (Date.now() > until) throw new Error(`${this.url(server)} lists no tools`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async lists(server, known) {
    const meta = { protocolVersion: '2026-07-28', clientCapabilities: {} };
    const _meta = Object.fromEntries(Object.entries(meta).map(([key, value]) => [`io.modelcontextprotocol/${key}`, value]));
    const headers = {
      authorization: `Bearer ${this.token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta } });
    try {
      const answer = await fetch(this.url(server), { method: 'POST', headers, body });
      return answer.ok && (await answer.text()).includes(known);
    } catch {
      return false;
    }
  }
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
