#!/usr/bin/env bash
# A day of live migrations by real processes: scripts/demo-migration.sh BIN TRACE OUT
# A rebalancer and eight agents, each beside a stand-in worker that replays its share of TRACE; ends with the trace. Logs
# and journal go to OUT.
set -euo pipefail
exec /usr/bin/python3 "$(dirname "$0")/demo_migration.py" "$@"
