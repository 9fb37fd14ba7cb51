"""Runs the built programs as a user would."""

import io
import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EVENKEEL_BIN", ROOT / "build/release/bin"))
DAY = ROOT / "tests/data/evenkeel-moe/day.npz"
DATA = pathlib.Path(os.environ.get("EVENKEEL_DATA", ROOT / "../shared/data"))

# What a refusal may take, however much its input claims.
MEMORY_KIB_MAX = 512 * 1024

# Why tests on recorded routing are skipped where it is not.
NO_DATA = "no recorded routing: set EVENKEEL_DATA"
# ctest reports a test that exits with this as skipped.
SKIPPED = 77


def skip_file(reason):
    """Ends a file of tests that cannot be run here; tests/skipped.py finds the line."""
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def run(*args, **options):
    """evenkeel with these arguments; never raises on its exit code."""
    return subprocess.run([BIN / "evenkeel", *map(str, args)], capture_output=True, text=True, timeout=300, **options)


def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * ((-11 - len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npz(path, **arrays):
    """Writes an archive of ready-made .npy texts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return path


class CommandTest(unittest.TestCase):
    """Gives each test a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="evenkeel-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def succeed(self, *args, **options):
        result = run(*args, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def json_of(self, *args, **options):
        return json.loads(self.succeed(*args, **options).stdout)


class RefusalTest(CommandTest):
    """Runs commands that must fail."""

    def refuse(self, code, expected, *args):
        """The command fails with `code`, says all of `expected` in one line, and writes no file."""
        before = sorted(self.folder.iterdir())
        result = run(*args)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        for words in expected:
            self.assertIn(words, result.stderr)
        self.assertEqual(sorted(self.folder.iterdir()), before)
        # Of all commands that this process has waited for.
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, MEMORY_KIB_MAX)

    def text(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
