#!/usr/bin/env bash
# Installs what is missing, builds and runs every test. On a bare Debian 12 this is the first command to run.
#   ./test.sh          all tests, about 25 minutes with the first build
#   ./test.sh --full   and benchmarks held to their limits, the same tests under AddressSanitizer, UndefinedBehaviorSanitizer and
#                      ThreadSanitizer, and fuzzing: some two hours more
set -euo pipefail
cd "$(dirname "$0")"

full=no
case "${1:-}" in
  "") ;;
  --full) full=yes ;;
  *) echo "usage: ./test.sh [--full]" >&2; exit 2 ;;
esac

export EVENKEEL_DATA=${EVENKEEL_DATA:-$PWD/../shared/data}
if [ ! -d "$EVENKEEL_DATA" ]; then
  echo "data: no recorded routing at $EVENKEEL_DATA; tests that want it are skipped (set EVENKEEL_DATA)"
fi

scripts/install-deps.sh --test
scripts/check-format.sh
scripts/build.sh release --with-tests
ctest --preset release -j 2

# What reads messages of strangers and memory shared with workers runs under AddressSanitizer and UndefinedBehaviorSanitizer every
# time, and what several threads share under ThreadSanitizer: seven minutes of building. All the rest would take an hour.
scripts/build.sh asan --with-tests evenkeel_agents_test evenkeel_probe_test
build/asan/bin/evenkeel_agents_test --gtest_brief=1
build/asan/bin/evenkeel_probe_test --gtest_brief=1
scripts/build.sh tsan --with-tests evenkeel_probe_test evenkeel_http_test
build/tsan/bin/evenkeel_probe_test --gtest_brief=1
build/tsan/bin/evenkeel_http_test --gtest_brief=1

if [ $full = yes ]; then
  # Benchmarks held to their limits and days of full length, with nothing beside them.
  EVENKEEL_FULL=1 ctest --preset release -R '^test_(live_speed|probe_speed|profile_speed|replay|unequal)$'
  # Tests that hold programs to times are left out: sanitizers slow them down by an order of magnitude. Under ThreadSanitizer so are
  # all others of the command line (test_*): what its threads do, unit tests do too.
  for preset in asan tsan; do
    scripts/build.sh $preset --with-tests
    TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp" ctest --preset $preset -j 2
  done
  # Ten minutes; by itself the script runs each reader a million times.
  scripts/fuzz.sh --runs 200000
fi
