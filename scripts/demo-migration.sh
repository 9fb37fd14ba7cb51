#!/usr/bin/env bash
# One live migration by real processes: scripts/demo-migration.sh BIN TRACE OUT
# A rebalancer and two agents that replay TRACE; ends when both run the new epoch. Logs and journal go to OUT.
set -euo pipefail
bin=$1 trace=$2 out=$3

# A pair of free ports: another run on this machine must not be in the way.
first=$((20000 + RANDOM % 20000))
bind=tcp://127.0.0.1:$first
publish=tcp://127.0.0.1:$((first + 1))

"$bin/evenkeel-rebalancer" --state "$out/state" --bind $bind --publish $publish --gpus 8 --agents 2 --max-migrations 1 \
  2>"$out/rebalancer.log" &
rebalancer=$!
trap 'kill $rebalancer 2>/dev/null || true; wait' EXIT
agents=()
for rank in 0 1; do
  "$bin/evenkeel-agent" --replay "$trace" --rank $rank --world 2 --rebalancer $bind --subscribe $publish \
    --exit-at-epoch 1 --exit-after-ms 30000 --log-json "$out/agent-$rank.jsonl" >"$out/agent-$rank.txt" 2>"$out/agent-$rank.log" &
  agents+=($!)
done
for rank in 0 1; do
  wait "${agents[$rank]}" || { tail -n 5 "$out"/*.log >&2; echo "the migration failed; logs are in $out" >&2; exit 1; }
done
grep -oE 'event=(plan_decided|epoch_prepared|agent_ready|epoch_committed) .*' "$out/rebalancer.log"
for rank in 0 1; do echo "agent $rank ends with: $(cat "$out/agent-$rank.txt")"; done
