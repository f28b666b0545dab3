// The protocol's libraries, from where `.ci/install-clients` put them.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const installed = process.env.MCPKEEL_CLIENTS_DIR || join(homedir(), '.cache/mcpkeel-clients');

const from = (...place) => (file) => import(pathToFileURL(join(installed, ...place, file)));

export const sdk1 = from('sdk-1/node_modules/@modelcontextprotocol/sdk/dist/esm');
export const serverSdk = from('server-sdk/node_modules/@modelcontextprotocol/server/dist');
export const clientSdk = from('client-sdk/node_modules/@modelcontextprotocol/client/dist');
