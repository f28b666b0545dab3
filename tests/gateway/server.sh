#!/bin/sh
# A server of 2025 with the tools that stand in the file $1, one definition to a line. `echo` says what it was given,
# `slow` answers when the file $1.go is there, `die` ends it, `pid` says which process it is.
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  say() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
  text() { say '"result":{"content":[{"type":"text","text":"'"$1"'"}]}'; }
  case $line in
    *'"initialize"'*)
      say '"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"ping"'*) say '"result":{}' ;;
    *'"tools/list"'*) say '"result":{"tools":['"$(paste -sd, "$1")"']}' ;;
    *'"tools/call"'*)
      case $line in
        *'"name":"slow"'*) while ! [ -e "$1.go" ]; do sleep 0.02; done; text slow ;;
        *'"name":"die"'*) exit 1 ;;
        *'"name":"pid"'*) text $$ ;;
        *) text "$(printf '%s' "$line" | sed -n 's/.*"message":"\([^"]*\)".*/\1/p')" ;;
      esac ;;
    *'"id"'*) say '"error":{"code":-32601,"message":"Method not found"}' ;;
  esac
done
