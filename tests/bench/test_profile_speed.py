"""A long trace is profiled in little memory and, in the full run, about as fast as its ids can be counted at all."""

import os
import re
import subprocess
import unittest

import paths  # noqa: F401

from harness import BIN, DAY, CommandTest
from tile_trace import tile

IS_FULL = os.environ.get("EVENKEEL_FULL") == "1"
TOKENS = 20_000_000 if IS_FULL else 1_000_000


class ProfileSpeed(CommandTest):
    def test_a_tiled_trace(self):
        trace = self.folder / "long.npz"
        tile(DAY, trace, TOKENS)
        benchmark = subprocess.run([BIN / "profile_speed", trace, "3"], capture_output=True, text=True, timeout=500)
        self.assertEqual(benchmark.returncode, 0, benchmark.stderr)
        print(benchmark.stdout)
        self.assertIn(f"{TOKENS} tokens", benchmark.stdout)
        self.assertLess(int(re.search(r"(\d+) MB of memory", benchmark.stdout)[1]), 500)
        ratio = float(re.search(r"ratio +([\d.]+)", benchmark.stdout)[1])
        # Other tests run beside this one in the short run, on machines of any kind: speed is no question there.
        if IS_FULL:
            self.assertLess(ratio, 2)

        profile = self.folder / "p.npz"
        summary = self.json_of("profile", trace, "-o", profile, "--json")
        self.assertEqual(summary["tokens_read"], TOKENS)
        self.assertEqual(summary["choices"], TOKENS * 8 * 6)
        self.assertEqual(summary["paths_one_in"], 128 if IS_FULL else 4)


if __name__ == "__main__":
    unittest.main()
