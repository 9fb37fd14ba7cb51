"""Where the programs and the recorded routing are, and how a benchmark runs `evenkeel`."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("EVENKEEL_BIN", ROOT / "build/release/bin"))
DATA = pathlib.Path(os.environ.get("EVENKEEL_DATA", ROOT / "../shared/data"))
BUNDLED = ROOT / "tests/data"


def require_evenkeel():
    """Ends the benchmark where there is no program to measure."""
    if not os.access(BIN / "evenkeel", os.X_OK):
        sys.exit(f"{BIN / 'evenkeel'} is not there: build with ./quickstart.sh, or set EVENKEEL_BIN to the folder that has it")


def evenkeel(*arguments, timeout_s=600):
    """Runs evenkeel and returns the finished process, whatever its exit code."""
    # Settings of the caller's shell would change what is measured.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVENKEEL_")}
    return subprocess.run([BIN / "evenkeel", *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, env=environment)


def last_line(text):
    """The line in which a program says why it failed."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def files_matching(pattern):
    """Recorded files under the data folder, else the bundled ones; sorted, empty where neither has them.

    An absolute path stands for itself.
    """
    if os.path.isabs(pattern):
        return [pathlib.Path(pattern)]
    return sorted(DATA.glob(pattern)) or sorted(BUNDLED.glob(pattern))
