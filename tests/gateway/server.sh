#!/bin/sh
# A server of 2025 with the tools that stand in the file $1, one definition to a line. `echo` says what it was given,
# `slow` answers when the file $1.go is there, `die` ends it, `pid` says which process it is. With a tool `library` it
# has resources as well, and tasks: `begin` begins one, and `touch` tells of what changed; `storm` tells often; to what is about
# `mem:///hang` it says nothing. What it hears is in $1.heard.
caps='"tools":{"listChanged":true}'
if grep -q '"library"' "$1"; then caps=$caps',"resources":{"subscribe":true},"logging":{}'; fi
while IFS= read -r line; do
  printf '%s\n' "$line" >>"$1.heard"
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  say() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
  tell() { printf '{"jsonrpc":"2.0","method":"notifications/%s","params":{%s}}\n' "$1" "$2"; }
  text() { say '"result":{"content":[{"type":"text","text":"'"$1"'"}]}'; }
  case $line in
    *mem:///hang*) ;;
    *'"initialize"'*)
      say '"result":{"protocolVersion":"2025-11-25","capabilities":{'"$caps"'},"serverInfo":{"name":"sh","version":"1"},"instructions":"Use it well."}' ;;
    *'"ping"'*) say '"result":{}' ;;
    *'"tools/list"'*) say '"result":{"tools":['"$(paste -sd, "$1")"']}' ;;
    *'"resources/list"'*) say '"result":{"resources":[{"uri":"mem:///listed","name":"listed"}]}' ;;
    *'"resources/templates/list"'*) say '"result":{"resourceTemplates":[{"uriTemplate":"mem:///{path}","name":"all"}]}' ;;
    *'"resources/read"'*) say '"result":{"contents":[{"uri":"mem:///x","text":"read"}]}' ;;
    *'"resources/subscribe"'*) say '"result":{}' ;;
    *'"tasks/list"'*) say '"result":{"tasks":[{"taskId":"t-1","status":"working"}]}' ;;
    *'"tasks/get"'*) say '"result":{"taskId":"t-1","status":"working"}' ;;
    *'"tools/call"'*)
      case $line in
        *'"name":"slow"'*) while ! [ -e "$1.go" ]; do sleep 0.02; done; text slow ;;
        *'"name":"die"'*) exit 1 ;;
        *'"name":"pid"'*) text $$ ;;
        *'"name":"begin"'*) say '"result":{"task":{"taskId":"t-1","status":"working"}}' ;;
        *'"name":"storm"'*)
          i=0; while [ $i -lt 50 ]; do tell tools/list_changed ''; i=$((i + 1)); done
          text storm ;;
        *'"name":"touch"'*)
          text touched
          tell tasks/status '"taskId":"t-1","status":"working"'
          tell resources/updated '"uri":"mem:///listed"' ;;
        *) text "$(printf '%s' "$line" | sed -n 's/.*"message":"\([^"]*\)".*/\1/p')" ;;
      esac ;;
    *'"id"'*) say '"error":{"code":-32601,"message":"Method not found"}' ;;
  esac
done
