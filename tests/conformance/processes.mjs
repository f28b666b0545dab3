// Processes that end when we do.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const here = fileURLToPath(new URL('.', import.meta.url));
const running = new Set();

export const node = (...args) => [process.execPath, ...args];

export function start([command, ...args], env = {}, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env }, ...options });
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

// Starts a program that prints its port first, and returns that.
export async function listening(command, env) {
  const child = start(command, env);
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return Number(line);
  }
  throw new Error(`${command.join(' ')} ended without a port`);
}

export async function stopAll() {
  const ended = [...running].map((child) => new Promise((done) => child.on('exit', done)));
  for (const child of running) child.kill('SIGTERM');
  const last = setTimeout(() => [...running].forEach((child) => child.kill('SIGKILL')), 10_000);
  await Promise.all(ended);
  clearTimeout(last);
}
