"""Readers take every seed of the fuzzer, and what once was a finding no longer is one."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import seeds

FUZZ = pathlib.Path(__file__).resolve().parent
REPLAY = pathlib.Path(os.environ.get("EVENKEEL_BIN", FUZZ.parents[1] / "build/release/bin")) / "fuzz_replay"


def replay(reader, files):
    """What the reader says of each file."""
    result = subprocess.run([REPLAY, reader, *files], capture_output=True, text=True, errors="replace", timeout=300)
    if result.returncode != 0:
        raise AssertionError(f"{reader}: exit code {result.returncode}: {result.stderr}")
    return result.stdout.splitlines()


class Replay(unittest.TestCase):
    def test_every_seed_is_accepted(self):
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
            for reader, files in seeds.write(pathlib.Path(folder)).items():
                with self.subTest(reader=reader):
                    self.assertEqual(replay(reader, files), ["accepted"] * len(files))

    def test_every_reader_has_seeds(self):
        usage = subprocess.run([REPLAY], capture_output=True, text=True)
        self.assertEqual(usage.returncode, 2)
        self.assertEqual(sorted(usage.stderr.split("readers:")[1].split()), sorted(seeds.SEEDS))

    def test_past_findings_stay_mended(self):
        for folder in (FUZZ / "found").iterdir():
            files = sorted(folder.iterdir())
            with self.subTest(reader=folder.name):
                self.assertEqual(len(replay(folder.name, files)), len(files))


if __name__ == "__main__":
    unittest.main()
