// Asks a probe server through whatever stands between, and says as JSON which columns passed: `true`, or why not.
//
//   node main.mjs 2025 URL            a client of the eras with a handshake; TOKEN is its bearer token
//   node main.mjs 2026 URL            one of the era without
//   node main.mjs 2025 -- COMMAND..   over stdio
//   node main.mjs --direct            each client and the server of its own era, with nothing between: all must pass
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { CHECKS } from './checks.mjs';
import { Legacy, Modern } from './clients.mjs';

const ERAS = { 2025: Legacy, 2026: Modern };
const PATIENCE = 30_000;

const [first, second, ...rest] = process.argv.slice(2);
const table = first === '--direct' ? await direct() : await through(first, second, rest);
console.log(JSON.stringify(table, null, 2));
process.exit(0);

async function through(era, where, command) {
  const headers = process.env.TOKEN ? { authorization: `Bearer ${process.env.TOKEN}` } : {};
  const connect = () => (where === '--' ? ERAS[era].stdio(command) : ERAS[era].http(where, headers));
  return columns(connect);
}

async function direct() {
  const server = (era) => fileURLToPath(new URL(`server-${era}.mjs`, import.meta.url));
  const http = spawn(process.execPath, [server(2026), 'http'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = await new Promise((done) => createInterface({ input: http.stdout }).once('line', (line) => done([line])));
  const table = {
    '2025 over stdio': await columns(() => Legacy.stdio([process.execPath, server(2025)])),
    '2026 over stdio': await columns(() => Modern.stdio([process.execPath, server(2026)])),
    '2026 over HTTP': await columns(() => Modern.http(`http://127.0.0.1:${port}/mcp`, {})),
  };
  http.kill();
  return table;
}

// Each check has a client of its own, so that none sees what another left behind.
async function columns(connect) {
  const table = {};
  for (const [name, check] of Object.entries(CHECKS)) {
    let peer;
    try {
      const late = new Promise((_, no) => setTimeout(() => no(new Error('no end after 30 s')), PATIENCE).unref());
      await Promise.race([late, (async () => {
        peer = await connect();
        await check(await look(peer));
      })()]);
      table[name] = true;
    } catch (error) {
      table[name] = error?.message ?? JSON.stringify(error);
    }
    await Promise.race([peer?.client.close().catch(() => {}), new Promise((done) => setTimeout(done, 2000))]);
  }
  return table;
}

// What the server lists, and what the probe's things are called there.
async function look(peer) {
  const list = async (method, field) => (await peer.ask(method, {})).result[field];
  const lists = {
    tools: await list('tools/list', 'tools'),
    resources: await list('resources/list', 'resources'),
    templates: await list('resources/templates/list', 'resourceTemplates'),
    prompts: await list('prompts/list', 'prompts'),
  };
  const called = (list, name) => {
    const found = list.find((entry) => entry.name === name || entry.name.endsWith(`__${name}`));
    if (!found) throw new Error(`nothing is called ${name} among ${list.map((entry) => entry.name).join(', ')}`);
    return found;
  };
  const names = {
    tool: (name) => called(lists.tools, name).name,
    prompt: called(lists.prompts, 'greeting').name,
    watched: called(lists.resources, 'watched').uri,
    template: called(lists.templates, 'item').uriTemplate,
  };
  return { peer, lists, names };
}
