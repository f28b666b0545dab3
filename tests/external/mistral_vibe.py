"""Prints the servers that Mistral Vibe's own loader finds: a JSON list of {name, disabled}."""

import asyncio
import json

from vibe.core.config.default_orchestrator import build_default_orchestrator
from vibe.core.config.harness_files import init_harness_files_manager

init_harness_files_manager("user")
config = asyncio.run(build_default_orchestrator()).config
print(json.dumps([{"name": server.name, "disabled": server.disabled} for server in config.mcp_servers]))
