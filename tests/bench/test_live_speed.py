"""The service under load: reports beside the parts their intake is made of, and very many agents.

The short run looks whether the benchmarks work at all. In the full run (EVENKEEL_FULL=1) their figures are held to limits.
"""

import os
import re
import subprocess
import unittest

import paths  # noqa: F401

from harness import BIN

IS_FULL = os.environ.get("EVENKEEL_FULL") == "1"


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{command}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
    print(result.stdout)
    return result.stdout


def number(text, pattern):
    return float(re.search(pattern, text)[1])


class LiveSpeed(unittest.TestCase):
    def test_intake_beside_its_parts(self):
        output = run(BIN / "ingest_speed", *([] if IS_FULL else [1, 160]))
        for transport in ("plain", "curve"):
            row = re.search(rf"^{transport} +(.*)$", output, re.MULTILINE)[1].split()
            self.assertEqual(len(row), 7)
            if IS_FULL:
                self.assertGreaterEqual(float(row[-1]), 0.5, output)

    def test_a_thousand_agents(self):
        agents, seconds = (1000, 60) if IS_FULL else (50, 3)
        output = run(BIN / "thousand_agents", BIN / "evenkeel-rebalancer", agents, seconds)
        self.assertEqual(number(output, r"reports: (\d+) sent"), agents * seconds, output)
        self.assertEqual(number(output, r"(\d+) acknowledged"), agents * seconds, output)
        if IS_FULL:
            self.assertLess(number(output, r"acknowledgement.*p99 ([\d.]+)"), 250, output)
            self.assertLess(number(output, r"memory: (\d+) KB an agent"), 300, output)


if __name__ == "__main__":
    unittest.main()
