"""The planner's speed benchmark, on counts made here."""

import json
import os
import subprocess
import unittest

import paths

from harness import BIN, CommandTest


class PlannerSpeed(CommandTest):
    def benchmark(self, *arguments):
        return subprocess.run([paths.BENCH / "planner_speed.py", *arguments], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "EVENKEEL_BIN": str(BIN), "EVENKEEL_DATA": str(self.folder)})

    def counts(self, experts):
        (self.folder / "deepseek-v3").mkdir()
        rows = [[0] * experts] + [[1 + 7 * expert * layer % 31 for expert in range(experts)] for layer in (1, 2)]
        (self.folder / "deepseek-v3/small.json").write_text(json.dumps({"logical_count": rows}))

    def test_time_and_balance_of_both(self):
        self.counts(56)
        result = self.benchmark("--rounds", "2", "--gpus", "8", "--redundant", "8", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        row, = json.loads(result.stdout)["rows"]
        for side in ("numpy_eplb", "evenkeel"):
            self.assertLessEqual(row[side]["fastest_seconds"], row[side]["median_seconds"])
            self.assertTrue(1 <= row[side]["imbalance_mean"] < 1.2)
        self.assertAlmostEqual(row["ratio"], row["numpy_eplb"]["median_seconds"] / row["evenkeel"]["median_seconds"])
        self.assertIn("small.json", self.benchmark("--rounds", "1", "--gpus", "8", "--redundant", "8").stdout)

    def test_a_run_that_fails_is_exit_code_1(self):
        self.counts(56)
        result = self.benchmark("--rounds", "1", "--gpus", "8", "--redundant", "7")
        self.assertEqual(result.returncode, 1)
        self.assertIn("63 slots", result.stderr)

    def test_says_that_it_skips_without_data(self):
        result = self.benchmark()
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertIn("skipped: no counts", result.stderr)


if __name__ == "__main__":
    unittest.main()
