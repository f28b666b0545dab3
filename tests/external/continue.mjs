// Prints what Continue's own parser reads from a config.yaml: a JSON list of server names.
// Usage: node continue.mjs <package.json of @continuedev/config-yaml> <config.yaml>
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [packageJson, config] = process.argv.slice(2)
const entry = createRequire(packageJson).resolve('@continuedev/config-yaml')
const { parseConfigYaml } = await import(pathToFileURL(entry))
const { mcpServers = [] } = parseConfigYaml(readFileSync(config, 'utf8'))
process.stdout.write(JSON.stringify(mcpServers.map((server) => server.name)))
