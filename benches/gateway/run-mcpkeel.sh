#!/bin/bash
# mode=http path=/mcp tool=s0__echo multi. Copied into the kit by `run`, which made the state with the token and a first start.
. $(dirname $0)/common.sh
HOUSE=$PEERS/mcpkeel/$KIND-$N; mkdir -p $HOUSE $W/run; chmod 700 $W/run; cd $HOUSE
export XDG_RUNTIME_DIR=$W/run MCPKEEL_STATE_DIR=$HOUSE/state
SERVERS=$(mcp_servers_json); SERVERS=${SERVERS#*:}
{ echo "{\"version\":1,\"servers\":${SERVERS%?},"; echo "\"policies\":[{\"name\":\"no deletes\",\"scope\":\"global\",\"resourceType\":\"tool\",\"pattern\":\"*delete*\",\"action\":\"deny\",\"priority\":100},{\"name\":\"ask before sending\",\"scope\":\"global\",\"resourceType\":\"tool\",\"pattern\":\"*send*\",\"action\":\"require_approval\",\"priority\":50}],"; echo "\"gateway\":{\"listen\":\"127.0.0.1:$PORT\"}}"; } > mcp.yaml
exec ${MCPKEEL_BIN:?} up -f mcp.yaml
