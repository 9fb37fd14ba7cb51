"""Equal arguments with --work give equal placements, from release to release: digests of what every strategy makes.

A change that is meant to leave placements alone leaves tests/cli/digests.json alone. One that is meant to change them
regenerates it (`/usr/bin/python3 tests/cli/test_digests.py --write`) and its commit says which cases changed and why.
"""

import hashlib
import json
import pathlib
import struct
import sys
import tempfile
import unittest

from harness import DAY, ROOT, npy, npz, run

EXPECTED = pathlib.Path(__file__).with_name("digests.json")
STRATEGIES = ("evenkeel", "metis-glpk", "contiguous", "random", "lpt", "eplb", "metis", "metis-naive", "exflow", "moetuner", "moetuner-strong")
C = ROOT / "tests/data/evenkeel-moe/domain-c.npz"

FIVE_SPEEDS = """gpus: 4
nodes: 1
speeds: [1, 1, 0.5, 0.75]
"""
UNEQUAL_SLOTS = """gpus: 4
nodes: 1
slots: [20, 16, 16, 20]
"""


def mix(seed):
    """splitmix64's next output: the same numbers on every machine."""
    seed = (seed + 0x9E3779B97F4A7C15) % 2**64
    z = seed
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return seed, z ^ (z >> 31)


def small_trace(path):
    """4 layers of 8 experts, top-2: small enough to be solved whole."""
    seed, ids = 7, []
    for _ in range(600):
        seed, draw = mix(seed)
        expert = draw % 8
        for _ in range(4):
            seed, draw = mix(seed)
            expert = expert if draw % 3 else draw // 3 % 5
            ids += [expert, (expert + 1 + draw // 15 % 7) % 8]
    starts = list(range(0, 601, 50))
    return npz(path, ids=npy("<i2", (600, 4, 2), struct.pack(f"<{len(ids)}h", *ids)),
               seq_start=npy("<i8", (len(starts),), struct.pack(f"<{len(starts)}q", *starts)))


def counts(path):
    """SGLang's counts of 6 layers of 64 experts in 3 windows, one expert hot in each layer."""
    seed, windows = 11, []
    for _ in range(3):
        layers = []
        for _ in range(6):
            row = []
            for expert in range(64):
                seed, draw = mix(seed)
                row.append(100 + draw % 900 + (6000 if expert == 5 else 0))
            layers.append(row)
        windows.append(layers)
    path.write_text(json.dumps({"logical_count": windows}))
    return path


def cases(folder):
    """The options of `partition` by the case's name."""
    small, loads = small_trace(folder / "small.npz"), counts(folder / "counts.json")
    speeds, slots = folder / "speeds.yaml", folder / "slots.yaml"
    speeds.write_text(FIVE_SPEEDS)
    slots.write_text(UNEQUAL_SLOTS)
    work, long = ("--work", 400_000), ("--work", 3_000_000)
    running = folder / "running.json"
    day = (DAY, "--gpus", 8)
    two = (DAY, "--gpus", 8, "--nodes", 2)
    # What the cases with --from start from; a case itself.
    yield "running", (*day, "--comm", "resident", "--strategy", "lpt", *work, "-o", running)
    spare = folder / "spare.json"
    yield "spare", (*day, "--comm", "resident", "--redundant", 16, "--strategy", "lpt", *work, "-o", spare)
    for comm in ("resident", "dispatch"):
        for strategy in STRATEGIES:
            yield f"{strategy} {comm}", (*day, "--comm", comm, "--slack", 0.02, "--strategy", strategy, *work)
        c = ("--comm", comm, "--slack", 0.02)
        yield f"evenkeel long {comm}", (*day, *c, *long)
        yield f"evenkeel no work {comm}", (*day, *c, "--work", 0)
        yield f"evenkeel one thread {comm}", (*day, *c, *work, "--threads", 1)
        yield f"evenkeel two nodes {comm}", (*two, *c, *work)
        yield f"evenkeel redundant {comm}", (*day, *c, "--redundant", 16, *work)
        yield f"evenkeel uneven split {comm}", (*day, *c, "--redundant", 16, "--split", "uneven", *work)
        yield f"evenkeel windows {comm}", (*day, *c, "--windows", 4, *work)
        yield f"evenkeel worst window {comm}", (*day, *c, "--windows", 4, "--robust", "max", *work)
        yield f"evenkeel tail of windows {comm}", (*day, *c, "--windows", 8, "--robust", "cvar:0.75", *work)
        yield f"evenkeel from {comm}", (*day, *c, "--from", running, *work)
        yield f"evenkeel few moves {comm}", (*day, *c, "--from", running, "--max-moves", 0.1, *work)
        yield f"evenkeel few moves redundant {comm}", (*day, *c, "--redundant", 16, "--from", spare, "--max-moves", 0.1, *work)
        yield f"evenkeel speeds {comm}", (DAY, "--cluster", speeds, *c, *work)
        yield f"evenkeel speeds by load {comm}", (DAY, "--cluster", speeds, "--balance", "load", *c, *work)
        yield f"evenkeel slots {comm}", (DAY, "--cluster", slots, *c, *work)
        yield f"evenkeel time {comm}", (*day, *c, "--balance", "time", *work)
        yield f"evenkeel lost {comm}", (*day, *c, "--redundant", 16, "--from", spare, "--lost", 3, *work)
        yield f"evenkeel lost and moves {comm}", (*day, *c, "--redundant", 16, "--from", spare, "--lost", 3, "--max-moves", 0.05, *work)
        for strategy in ("evenkeel", "moetuner", "moetuner-strong"):
            yield f"{strategy} small {comm}", (small, "--gpus", 4, *c, "--strategy", strategy, *long)
        yield f"evenkeel slack auto {comm}", (*day, "--comm", comm, "--slack", "auto", *long)
    c = ("--comm", "resident", "--slack", 0.02)
    yield "evenkeel weighted", (*two, *c, "--objective", "weighted:0.25,1.0", *work)
    yield "evenkeel weighted small", (small, "--gpus", 4, "--nodes", 2, *c, "--objective", "weighted:0.25,1.0", *work)
    yield "evenkeel survive", (C, "--gpus", 8, "--nodes", 2, *c, "--redundant", 64, "--survive", 1, *work)
    yield "lpt survive", (C, "--gpus", 8, "--nodes", 2, *c, "--redundant", 64, "--survive", 1, "--strategy", "lpt", *work)
    for stage in ("metis", "transport", "search", "glpk"):
        yield f"evenkeel without {stage}", (*day, *c, "--without", stage, *work)
    yield "metis-glpk weighted", (*two, *c, "--objective", "weighted:0.25,1.0", "--strategy", "metis-glpk", *work)
    yield "metis-glpk redundant", (*day, *c, "--redundant", 16, "--strategy", "metis-glpk", *work)
    for strategy in ("evenkeel", "lpt", "eplb", "metis-glpk"):
        yield f"{strategy} loads", (loads, "--gpus", 8, "--nodes", 2, "--redundant", 8, "--strategy", strategy, *work)
    yield "evenkeel loads uneven", (loads, "--gpus", 8, "--redundant", 8, "--split", "uneven", *work)
    yield "evenkeel loads worst window", (loads, "--gpus", 8, "--robust", "max", *work)
    yield "eplb-hierarchical groups", (loads, "--gpus", 8, "--nodes", 2, "--groups", 4, "--strategy", "eplb-hierarchical", *work)


def digests(folder):
    found = {}
    for name, options in cases(folder):
        output = folder / "placement.json"
        options = options if "-o" in options else (*options, "-o", output)
        result = run("partition", *options)
        written = pathlib.Path(options[options.index("-o") + 1])
        found[name] = hashlib.sha256(written.read_bytes()).hexdigest()[:16] if result.returncode == 0 else f"exit {result.returncode}"
        output.unlink(missing_ok=True)
    return found


class Digests(unittest.TestCase):
    maxDiff = None

    def test_placements_are_those_of_the_release_before(self):
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
            found = digests(pathlib.Path(folder))
        self.assertGreaterEqual(sum(not digest.startswith("exit") for digest in found.values()), 40)
        self.assertEqual(found, json.loads(EXPECTED.read_text()))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as scratch:
            EXPECTED.write_text(json.dumps(digests(pathlib.Path(scratch)), indent=1) + "\n")
    else:
        unittest.main()
