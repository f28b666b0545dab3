#!/usr/bin/env python3
"""A server that misbehaves when it is told to. Speaks 2025-11-25 over stdio, a line for each message.

Each call runs in a thread of its own, so that answers come in any order.
"""
import json
import os
import sys
import threading
import time

TOOLS = ["echo", "die", "die_in_a_line", "hang", "deaf", "flood", "garbage", "large", "chatter", "pid", "asks", "raw", "heard"]
out = threading.Lock()
answers = {}
heard = {}


def say(message):
    with out:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def raw(data):
    with out:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def call(id, params):
    name, args, meta = params["name"], params.get("arguments") or {}, params.get("_meta") or {}
    text = args.get("text", "")
    if name == "echo":
        for step in range(args.get("steps", 0)):
            progress = {"progressToken": meta["progressToken"], "progress": step + 1, "message": text}
            say({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
        time.sleep(args.get("ms", 0) / 1000)
    elif name == "die":
        os._exit(3)
    elif name == "die_in_a_line":
        raw(b'{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"te' % json.dumps(id).encode())
        os._exit(3)
    elif name == "hang":
        time.sleep(600)
    elif name == "flood":
        for _ in range(args["megabytes"]):
            sys.stderr.write(("e" * 1023 + "\n") * 1024)
        sys.stderr.flush()
    elif name == "garbage":
        raw(b"not json\n{\"half\":\n[]\nnull\n7\n\"text\"\n\n\xff\xfe\x00\n{}\n{\"jsonrpc\":\"2.0\"}\n")
        raw(b'{"jsonrpc":"2.0","id":"nobody asked","result":{}}\n{"jsonrpc":"2.0","id":null,"result":{}}\n')
        raw(b'{"jsonrpc":"1.0","id":1,"method":7}\n{"jsonrpc":"2.0","method":"notifications/unheard-of"}\n')
    elif name == "large":
        head = '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"' % json.dumps(id)
        with out:
            sys.stdout.write(head)
            for _ in range(args["megabytes"]):
                sys.stdout.write("x" * (1 << 20))
            sys.stdout.write('"}]}}\n')
            sys.stdout.flush()
        return
    elif name == "chatter":
        for n in range(args["times"]):
            params = {"level": "info", "data": {"n": n, "text": "x" * 500}}
            say({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
    elif name == "asks":
        asked = "ask-%s" % json.dumps(id)
        answers[asked] = threading.Event()
        message = {"role": "user", "content": {"type": "text", "text": text}}
        params = {"messages": [message], "maxTokens": 1}
        say({"jsonrpc": "2.0", "id": asked, "method": "sampling/createMessage", "params": params})
        answers[asked].wait(30)
        text = json.dumps(answers[asked].said)
    elif name == "raw":
        result = '{"content":[],"big":12345678901234567890123,"far":1e400,"one":1.0,"x-vendor":{"b":[ 1 ],"a":"\\u00e9\\/"}}'
        raw(('{"jsonrpc":"2.0","x-top":0.10,"result":%s,"id":%s}\n' % (result, json.dumps(id))).encode())
        return
    elif name == "heard":
        text = heard.pop(id)
    elif name == "pid":
        text = str(os.getpid())
    say({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}})


def answer(message):
    id, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if method is None and id in answers:
        answers[id].said = message.get("result") or message.get("error")
        answers[id].set()
    if id is None or method is None:
        return
    if method == "initialize":
        if os.environ.get("NEVER_GREETS"):
            return
        capabilities = {"tools": {}, "logging": {}}
        result = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": {"name": "faulty", "version": "1"}}
        say({"jsonrpc": "2.0", "id": id, "result": result})
    elif method == "tools/list":
        tools = [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in TOOLS]
        say({"jsonrpc": "2.0", "id": id, "result": {"tools": tools}})
    elif method in ("ping", "logging/setLevel"):
        say({"jsonrpc": "2.0", "id": id, "result": {}})
    elif method == "tools/call":
        if params["name"] == "deaf":
            time.sleep(600)
        threading.Thread(target=call, args=(id, params), daemon=True).start()
    else:
        say({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "Method not found"}})


for line in sys.stdin:
    message = json.loads(line)
    if '"heard"' in line:
        heard[message.get("id")] = line
    answer(message)
