// Asks a probe server through whatever stands between, and says as JSON which columns passed: `true`, or why not.
//
//   node main.mjs --direct            each client and the server of its own era, with nothing between: all must pass
//   node main.mjs --gateway           through a gateway of its own (MCPKEEL_BIN): each client and each server
//   node main.mjs 2025 URL            a client of the eras with a handshake; TOKEN is its bearer token
//   node main.mjs 2026 URL            one of the era without
//   node main.mjs 2025 -- COMMAND..   over stdio
import { join } from 'node:path';

import { Gateway } from '../gateway.mjs';
import { here, listening, node, stopAll } from '../processes.mjs';
import { installed } from '../sdks.mjs';
import { CHECKS } from './checks.mjs';
import { Legacy, Modern } from './clients.mjs';

const ERAS = { 2025: Legacy, 2026: Modern };
const PATIENCE = 30_000;

const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {});
const server = (era, over) => node(join(here, `passthrough/server-${era}.mjs`), over);
const remote = async (era) => `http://127.0.0.1:${await listening(server(era, 'http'))}/mcp`;

const table = await main(...process.argv.slice(2)).finally(stopAll);
console.log(JSON.stringify(table, null, 2));
process.exit(0);

function main(what, where, ...command) {
  if (what === '--direct') return direct();
  if (what === '--gateway') return gateway();
  return columns(() => (where === '--' ? ERAS[what].stdio(command) : ERAS[what].http(where, bearer(process.env.TOKEN))));
}

async function direct() {
  const [older, newer] = [await remote(2025), await remote(2026)];
  return {
    '2025 over stdio': await columns(() => Legacy.stdio(server(2025, 'stdio'))),
    '2025 over HTTP': await columns(() => Legacy.http(older, {})),
    '2026 over stdio': await columns(() => Modern.stdio(server(2026, 'stdio'))),
    '2026 over HTTP': await columns(() => Modern.http(newer, {})),
  };
}

// Each server alone behind a gateway, so that what it lists is what is listed; each client at the server's own address,
// at the address of all, and through `mcpkeel connect`.
async function gateway() {
  const servers = {
    '2025 over stdio': program(2025),
    '2025 over HTTP': { url: await remote(2025) },
    '2026 over stdio': program(2026),
    '2026 over HTTP': { url: await remote(2026) },
  };
  const table = {};
  for (const [name, entry] of Object.entries(servers)) {
    const gateway = await Gateway.start({ probe: entry }, 'full');
    const headers = bearer(gateway.token);
    const connect = [process.env.MCPKEEL_BIN, 'connect', '--client', 'cursor'];
    const ways = {
      'client 2025, alone': () => Legacy.http(gateway.url('probe'), headers),
      'client 2026, alone': () => Modern.http(gateway.url('probe'), headers),
      'client 2025, among all': () => Legacy.http(gateway.url(), headers),
      'client 2026, among all': () => Modern.http(gateway.url(), headers),
      'client 2025, connect': () => Legacy.stdio(connect, gateway.env, gateway.home),
      'client 2026, connect': () => Modern.stdio(connect, gateway.env, gateway.home),
    };
    for (const [way, client] of Object.entries(ways)) {
      if (!process.env.ONLY || way.includes(process.env.ONLY)) table[`${way}, server ${name}`] = await columns(client);
    }
    await gateway.stop();
  }
  return table;
}

function program(era) {
  const [command, ...args] = server(era, 'stdio');
  return { command, args, env: { MCPKEEL_CLIENTS_DIR: installed } };
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
