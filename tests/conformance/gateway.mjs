// `mcpkeel up` in a home of its own, with the fixture behind it twice: as a program, and at an address.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { here, listening, node, start } from './processes.mjs';

const PATIENCE = 30_000;

export class Gateway {
  static async start() {
    const gateway = new Gateway();
    const fixture = join(here, 'fixture/server.mjs');
    const [port, remote] = [await freePort(), await listening(node(fixture, 'http'))];
    gateway.port = port;
    const [command, ...args] = node(fixture, 'stdio');
    writeFileSync(join(gateway.home, 'mcp.yaml'), JSON.stringify({
      version: 1,
      servers: {
        piped: { command, args, env: sdk() },
        remote: { url: `http://127.0.0.1:${remote}/mcp` },
      },
      gateway: { listen: `127.0.0.1:${port}` },
    }, null, 2));
    gateway.token = gateway.mcpkeel('token', 'create', 'conformance', '--format', 'json');
    gateway.token = JSON.parse(gateway.token).token;
    start([process.env.MCPKEEL_BIN, 'up', '-f', 'mcp.yaml'], gateway.env, { cwd: gateway.home });
    await gateway.answers();
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

  mcpkeel(...args) {
    const env = { ...process.env, ...this.env };
    return execFileSync(process.env.MCPKEEL_BIN, args, { cwd: this.home, env, encoding: 'utf8' });
  }

  url(server) {
    return `http://127.0.0.1:${this.port}/mcp/${server}`;
  }

  // Waits until both servers can be asked.
  async answers() {
    const until = Date.now() + PATIENCE;
    for (const server of ['piped', 'remote']) {
      while (!(await this.lists(server))) {
        if (Date.now() > until) throw new Error(`${this.url(server)} lists no tools`);
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }

  async lists(server) {
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
      return answer.ok && (await answer.text()).includes('test_simple_text');
    } catch {
      return false;
    }
  }
}

const sdk = () => (process.env.SDK ? { SDK: process.env.SDK } : { MCPKEEL_CLIENTS_DIR: process.env.MCPKEEL_CLIENTS_DIR ?? `${process.env.HOME}/.cache/mcpkeel-clients` });

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
