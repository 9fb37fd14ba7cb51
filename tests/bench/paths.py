"""Makes the benchmarks and the harness of the command line importable."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
sys.path[:0] = [str(BENCH), str(ROOT / "tests/cli")]
