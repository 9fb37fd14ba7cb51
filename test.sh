#!/usr/bin/env bash
# Installs what is missing, builds and runs every test. On a bare Debian 12 this is the first command to run.
#   ./test.sh          all tests, about half an hour on two cores with the first build
#   ./test.sh --full   and benchmarks held to their limits, the same tests under AddressSanitizer, UndefinedBehaviorSanitizer and
#                      ThreadSanitizer, a build by clang, clang-tidy over everything, and fuzzing: some two hours more
# Says how long each step took, and in its last line which tests were skipped and why.
set -euo pipefail
cd "$(dirname "$0")"

full=no
case "${1:-}" in
  "") ;;
  --full) full=yes ;;
  *) echo "usage: ./test.sh [--full]" >&2; exit 2 ;;
esac

export EVENKEEL_DATA=${EVENKEEL_DATA:-$PWD/../shared/data}

# step NAME COMMAND...: runs it and says how long it took.
step() {
  local name=$1 begin=$SECONDS
  shift
  "$@" || { echo "step: $name: failed after $((SECONDS - begin)) s" >&2; exit 1; }
  echo "step: $name: $((SECONDS - begin)) s"
}

step packages scripts/install-deps.sh --test
step format scripts/check-format.sh
step build scripts/build.sh release --with-tests
step tests ctest --preset release -j 2
skipped=$(/usr/bin/python3 tests/skipped.py build/release/Testing/Temporary/LastTest.log)

# What reads messages of strangers and memory shared with workers runs under AddressSanitizer and UndefinedBehaviorSanitizer every
# time, and what several threads share under ThreadSanitizer: seven minutes of building. All the rest would take an hour.
step "asan build" scripts/build.sh asan --with-tests evenkeel_agents_test evenkeel_probe_test
step "asan: agents" build/asan/bin/evenkeel_agents_test --gtest_brief=1
step "asan: probe" build/asan/bin/evenkeel_probe_test --gtest_brief=1
step "tsan build" scripts/build.sh tsan --with-tests evenkeel_probe_test evenkeel_http_test
step "tsan: probe" build/tsan/bin/evenkeel_probe_test --gtest_brief=1
step "tsan: http" build/tsan/bin/evenkeel_http_test --gtest_brief=1

if [ $full = no ]; then
  step lint scripts/lint.sh
else
  step "lint, whole" scripts/lint.sh --full
  # Benchmarks held to their limits and days of full length, with nothing beside them.
  EVENKEEL_FULL=1 step benchmarks ctest --preset release -R '^test_(live_speed|probe_speed|profile_speed|replay|unequal)$'
  # Tests that hold programs to times are left out: sanitizers slow them down by an order of magnitude. Under ThreadSanitizer so are
  # all others of the command line (test_*): what its threads do, unit tests do too.
  for preset in asan tsan; do
    step "$preset build, whole" scripts/build.sh $preset --with-tests
    TSAN_OPTIONS="suppressions=\"$PWD/tests/tsan.supp\"" step "$preset tests" ctest --preset $preset -j 2
  done
  # Ten minutes; by itself the script runs each reader a million times.
  step fuzz scripts/fuzz.sh --runs 200000
fi
echo "all steps: $SECONDS s"
echo "$skipped"
