#!/usr/bin/env bash
# Fails where a C++ file is not as clang-format leaves it. Mend with: scripts/check-format.sh --fix
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(--dry-run --Werror)
if [ "${1:-}" = --fix ]; then mode=(-i); fi
find partition pipeline agents rebalancer tests bench \( -name '*.h' -o -name '*.cc' \) -print0 | xargs -0 clang-format "${mode[@]}"
echo "format: clean"
