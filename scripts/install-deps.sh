#!/usr/bin/env bash
# Installs the Debian packages that evenkeel needs and this machine lacks. docs/dependencies.md says why each is there.
#   scripts/install-deps.sh          build and run
#   scripts/install-deps.sh --test   and test
#   scripts/install-deps.sh --fuzz   and fuzz (scripts/fuzz.sh)
set -euo pipefail

build=(
  ca-certificates ccache cmake g++ ninja-build pkg-config
  libboost-dev libcli11-dev libeigen3-dev libexpected-dev libfccp-dev libfmt-dev libglpk-dev libmetis-dev libmsgpack-cxx-dev libsimdjson-dev
  libspdlog-dev libsqlite3-dev libyaml-cpp-dev libzip-dev libzmq3-dev cppzmq-dev nlohmann-json3-dev
  prometheus-cpp-dev nodejs npm
)
test=(chromium clang-14 clang-format clang-tidy-14 groff-base libgtest-dev python3 python3-msgpack python3-numpy python3-torch python3-yaml python3-zmq)
fuzz=(clang-14 libclang-rt-14-dev llvm-14 python3 python3-numpy)

wanted=("${build[@]}")
case "${1:-}" in
  --test) wanted+=("${test[@]}") ;;
  --fuzz) wanted+=("${fuzz[@]}") ;;
esac

missing=()
for package in "${wanted[@]}"; do
  # Node.js from elsewhere brings npm along, and excludes Debian's.
  if [ "$package" = npm ] && command -v npm >/dev/null; then continue; fi
  if ! dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
    missing+=("$package")
  fi
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all ${#wanted[@]} are installed"
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-deps: not root and no sudo; install: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "packages: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { "${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
"${sudo[@]}" apt-get update >"$log" 2>&1 || echo "packages: apt-get update failed; going on with the lists that are here"
install || { sleep 5; install; } || { tail -n 20 "$log" >&2; echo "install-deps: apt-get could not install the packages above" >&2; exit 1; }
