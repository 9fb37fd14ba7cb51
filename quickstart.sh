#!/usr/bin/env bash
# Installs what is missing, builds, and shows what evenkeel does on the bundled trace: a comparison with what engines use
# today, the map it writes, and a day of live migrations by real processes. The first command to run on a bare Debian 12.
set -euo pipefail
cd "$(dirname "$0")"

# Compiling, the first time, on one core of a server of 2024; the rest takes 40 seconds, most of it the time that solvers are given.
compile_s=670
cores=$(nproc)
if [ ! -x build/release/bin/evenkeel-rebalancer ]; then
  echo "quickstart: about $(((compile_s / cores + 40 + 59) / 60)) minutes on $cores cores, most of them compiling; from then on less than one"
fi
scripts/install-deps.sh
scripts/build.sh release
bin=build/release/bin
out=build/quickstart
trace=tests/data/evenkeel-moe/day.npz
rm -rf "$out"
mkdir -p "$out"

echo
echo "== Placements fitted to one half of a day's traffic, scored on the other: 8 layers x 64 experts on 8 GPUs"
$bin/evenkeel compare $trace --gpus 8 --holdout 0.5 --time 10s --strategies contiguous,eplb,evenkeel

echo
echo "== The map for the whole day"
$bin/evenkeel partition $trace --gpus 8 --time 10s -o $out/placement.json
echo "layer 0, a GPU a line: its experts"
sed -e 's/.*"physical_to_logical_map":\[\[//' -e 's/\].*//' $out/placement.json | tr ',' '\n' | paste -d' ' - - - - - - - -

echo
echo "== A day of live migrations: a rebalancer and eight agents, each beside a stand-in worker that replays its share"
scripts/demo-migration.sh "$bin" "$trace" "$out"
