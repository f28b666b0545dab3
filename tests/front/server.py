"""A small MCP server of the 2025 era on standard input and output, for the tests of connect and call."""

import json
import os
import sys
import time

TOOLS = [
    {
        "name": "echo",
        "description": "Says what it is given",
        "inputSchema": {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "count": {"type": "integer"},
                "on": {"type": "boolean"},
                "tags": {"type": "array"},
            },
        },
    },
    {"name": "fail", "description": "Fails", "inputSchema": {"type": "object"}},
    {"name": "image", "description": "Draws", "inputSchema": {"type": "object"}},
    {"name": "forecast", "description": "Structured", "inputSchema": {"type": "object"}},
    {"name": "hang", "description": "Touches a file and never answers", "inputSchema": {"type": "object"}},
]


def text(said, **more):
    return {"content": [{"type": "text", "text": said}], **more}


def call(name, arguments):
    if name == "echo":
        return text(json.dumps(arguments, sort_keys=True))
    if name == "fail":
        return text("out of milk", isError=True)
    if name == "image":
        return {"content": [{"type": "image", "mimeType": "image/png", "data": "A" * 4096}]}
    if name == "forecast":
        return text('{"rain": [1, 2]}', structuredContent={"rain": [1, 2]})
    if name == "hang":
        with open(arguments["mark"], "a") as mark:
            mark.write("called\n")
        time.sleep(3600)
    return None


def answer(message):
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "small", "version": "1"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params["name"], params.get("arguments") or {})
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    said = {"jsonrpc": "2.0", "id": message["id"]}
    result = answer(message)
    if result is None:
        said["error"] = {"code": -32601, "message": "unknown"}
    else:
        said["result"] = result
    print(json.dumps(said), flush=True)
