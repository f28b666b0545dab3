// Runs the conformance suites and says how they went; `run` starts it.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Gateway } from './gateway.mjs';
import { installed } from './sdks.mjs';
import { here, listening, node, stopAll } from './processes.mjs';

const out = mkdtempSync(join(tmpdir(), 'conformance-'));

// The suites: what they are called here, the program, what tells it which scenarios, and how many are required.
const SERVER = [
  ['2025-11-25', 'conformance-next', ['--requirements', '2025-11-25'], 30],
  ['2026-07-28', 'conformance-next', ['--requirements', '2026-07-28'], 37],
  ['2025-11-25, as released', 'conformance', ['--suite', 'active'], 30],
];
const CLIENT = [
  ['2025-11-25', 'conformance-next', ['--requirements', '2025-11-25'], 18],
  ['2026-07-28', 'conformance-next', ['--requirements', '2026-07-28'], 32],
];

// What is known to fail, and why. The tests fail as well when one of these passes.
// Nothing that is required; of what is optional auth/dpop and auth/dpop-nonce, since rmcp sends bearer tokens only.
const KNOWN = [
];

process.exitCode = await main(process.argv[2]).finally(stopAll);

async function main(what) {
  const rows = [];
  if (what === '--clients') {
    const command = `${process.execPath} ${join(here, 'client.mjs')}`;
    for (const suite of CLIENT) rows.push(await run('client', 'mcpkeel', suite, ['--command', command]));
    return report(rows);
  }
  for (const [where, url] of await targets(what)) {
    for (const suite of SERVER) rows.push(await run('server', where, suite, ['--url', url]));
  }
  return report(rows);
}

async function targets(what) {
  if (what === '--direct') {
    const port = await listening(node(join(here, 'fixture/server.mjs'), 'http'));
    return [['the fixture itself', `http://127.0.0.1:${port}/mcp`]];
  }
  if (what) return [[what, await withToken(what, process.env.TOKEN)]];
  const fixture = join(here, 'fixture/server.mjs');
  const [command, ...args] = node(fixture, 'stdio');
  const port = await listening(node(fixture, 'http'));
  const env = { MCPKEEL_CLIENTS_DIR: installed };
  const servers = { piped: { command, args, env }, remote: { url: `http://127.0.0.1:${port}/mcp` } };
  const gateway = await Gateway.start(servers, 'test_simple_text');
  const through = (server) => withToken(gateway.url(server), gateway.token);
  return [['upstream over stdio', await through('piped')], ['upstream over HTTP', await through('remote')]];
}

// The address under which a server that wants this token is reached without one.
async function withToken(url, token) {
  if (!token) return url;
  const { port, pathname } = new URL(url);
  const own = await listening(node(join(here, 'forward.mjs'), port), { TOKEN: token });
  return `http://127.0.0.1:${own}${pathname}`;
}

async function run(side, where, [name, program, which, required], how) {
  const directory = join(out, `${side}-${name}-${where}`.replaceAll(/[^a-z0-9.-]+/g, '-'));
  const args = [side, ...how, ...which, '-o', directory];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  await new Promise((done) => child.on('close', done));
  writeFileSync(`${directory}.log`, said);
  return { side, where, name, required, directory, ...read(said) };
}

// What a suite says in its summary: the scenarios that count, and the optional ones.
function read(said) {
  const summary = said.slice(said.search(/=== (SUITE )?SUMMARY ===/));
  const optional = new Set([...summary.matchAll(/^ {2}[✓✗] (\S+) \(/gm)].map(([, scenario]) => scenario));
  const all = [...summary.matchAll(/^([✓✗]) (\S+): (\d+) passed, (\d+) failed(?:, (\d+) warnings)?/gmu)];
  const scenarios = all.map(([, mark, scenario, , , warnings]) => ({ scenario, passed: mark === '✓', warnings: Number(warnings ?? 0) }));
  return {
    counted: scenarios.filter(({ scenario }) => !optional.has(scenario)),
    optional: scenarios.filter(({ scenario }) => optional.has(scenario)),
  };
}

function report(rows) {
  let failed = false;
  console.log('| side | of the protocol | through | required | optional |\n| --- | --- | --- | --- | --- |');
  for (const row of rows) {
    const passed = (scenarios) => scenarios.filter((scenario) => scenario.passed).length;
    const [good, extra] = [passed(row.counted), passed(row.optional)];
    failed ||= row.counted.length !== row.required;
    console.log(`| ${row.side} | ${row.name} | ${row.where} | ${good} of ${row.required} | ${extra} of ${row.optional.length} |`);
  }
  const known = new Map();
  for (const row of rows) {
    for (const { scenario, passed } of row.counted) {
      const [, , reason] = KNOWN.find(([side, which]) => side === row.side && which.test(scenario)) ?? [];
      if (reason && !passed) known.set(reason, [...(known.get(reason) ?? []), scenario]);
      if (Boolean(reason) !== passed) continue;
      failed = true;
      console.log(`\n${passed ? 'passes now' : 'failed'}: ${scenario} (${row.side}, ${row.name}, ${row.where})`);
      for (const message of reasons(row.directory, scenario)) console.log(`  ${message}`);
    }
  }
  for (const [reason, which] of known) console.log(`\nknown to fail, ${which.length} in all: ${reason}\n  ${[...new Set(which)].join(' ')}`);
  if (failed || process.env.KEEP) console.log(`\nwhat was said is in ${out}`);
  else rmSync(out, { recursive: true });
  return failed ? 1 : 0;
}

// What the checks of a scenario said, from the file that the suite wrote for it.
function reasons(directory, scenario) {
  try {
    const runs = readdirSync(directory, { recursive: true }).map(String).filter((file) => file.endsWith('checks.json') && matches(file, scenario));
    const checks = runs.flatMap((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')));
    return checks.filter((check) => check.status === 'FAILURE').map((check) => `${check.id}: ${check.errorMessage ?? check.description}`);
  } catch (error) {
    return [`no details: ${error.message}`];
  }
}

// A run's directory is the scenario with the time behind it, and the side in front.
function matches(file, scenario) {
  return file.replace(/^(server|client)-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '') === scenario;
}
