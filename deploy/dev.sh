#!/bin/sh
# Dagster's UI and daemon on this machine (`make dev`). Where no credentials are set, neither in the
# environment nor in .env, the bundled simulator is started too, and its returns go to data/demo.
set -eu

BIN=${BIN:-.venv/bin}
PORT=${PORT:-3000}
SIMULATOR_PORT=${SIMULATOR_PORT:-8350}

if [ -z "${CLICKPOST_KEY:-}" ] && ! grep -qs '^CLICKPOST_KEY=.' .env; then
    echo "No credentials are set: starting the simulator; its returns go to data/demo."
    "$BIN/returns-orchestration" simulate --port "$SIMULATOR_PORT" &
    simulator=$!
    trap 'kill "$simulator" 2>/dev/null' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export CLICKPOST_BASE_URL="http://127.0.0.1:$SIMULATOR_PORT/api"
    export CLICKPOST_KEY=simulator-key CLICKPOST_USER_NAME=simulator-user CLICKPOST_TIME_ZONE=UTC
    export RETURNS_LAKE="$PWD/data/demo/lake" RETURNS_START=2026-11-07T00:00:00Z
    export DAGSTER_HOME="${DAGSTER_HOME:-$PWD/data/demo/dagster_home}"
fi
export DAGSTER_HOME="${DAGSTER_HOME:-$PWD/data/dagster_home}"
mkdir -p "$DAGSTER_HOME"
[ -e "$DAGSTER_HOME/dagster.yaml" ] || cp dagster.yaml "$DAGSTER_HOME/dagster.yaml"
"$BIN/dagster" dev --host 127.0.0.1 --port "$PORT"
