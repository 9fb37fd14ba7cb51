"""The probe counts beside a bare store loop and, in the full run, within what is promised of it."""

import os
import re
import subprocess
import unittest

import paths  # noqa: F401

from harness import BIN

IS_FULL = os.environ.get("EVENKEEL_FULL") == "1"


class ProbeSpeed(unittest.TestCase):
    def test_counting_and_sampling(self):
        benchmark = subprocess.run([BIN / "probe_speed", "101" if IS_FULL else "5"], capture_output=True, text=True, timeout=300)
        self.assertEqual(benchmark.returncode, 0, benchmark.stderr)
        print(benchmark.stdout)
        counting = float(re.search(r"least times: probe / bare ([\d.]+)", benchmark.stdout)[1])
        sampling = float(re.search(r", with paths / without ([\d.]+)", benchmark.stdout)[1])
        self.assertGreater(counting, 0)
        # Other tests run beside this one in the short run, on machines of any kind: speed is no question there.
        if IS_FULL:
            self.assertLess(counting, 1.7)
            self.assertLess(sampling, 1.5)


if __name__ == "__main__":
    unittest.main()
