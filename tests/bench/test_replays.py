"""The tables of replayed days."""

import pathlib
import subprocess
import sys
import unittest

import paths  # noqa: F401  (first: the modules below are found through it)

import replays
from results_table import splice


def lane(policy, redundant, step):
    return {"policy": policy, "nodes": 1, "redundant": redundant, "throughput": 2e6, "step_time_seconds": step, "step_time_p99_seconds": 0.02,
            "imbalance_mean": 1.25, "moves": 7, "migrations": 2, "stall_seconds": 0.5}


class Replays(unittest.TestCase):
    def test_times_stand_beside_the_oracle_of_the_same_day(self):
        document = {"verdict": "keep", "reason": "so it is",
                    "policies": [lane("never", 0, 0.012), lane("oracle", 0, 0.010), lane("never", 8, 0.010), lane("oracle", 8, 0.008)]}
        text = replays.table_of(replays.QUICK[0], document)
        self.assertIn("Keep: so it is.", text)
        self.assertIn("| never | 0 | 2.000 | 12.000 | 1.2000 | 20.000 | 1.2500 | 7 | 2 | 0.50 |", text)
        self.assertIn("| never | 8 | 2.000 | 10.000 | 1.2500 |", text)

    def test_the_bundled_day_is_replayed(self):
        result = subprocess.run([sys.executable, pathlib.Path(replays.__file__), "--quick"], capture_output=True, text=True, timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith("| ")]
        self.assertEqual([row[0] for row in rows[2:]], ["| never", "| every:4", "| evenkeel", "| oracle"])
        self.assertEqual(rows[-1][3], "1.0000")

    def test_the_document_has_its_markers(self):
        splice((pathlib.Path(replays.ROOT) / "docs/results.md").read_text(), "", "replays")


if __name__ == "__main__":
    unittest.main()
