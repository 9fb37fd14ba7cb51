#!/usr/bin/python3
"""Time and balance of evenkeel's planner beside a NumPy port of EPLB, on SGLang's counts of DeepSeek-V3.

Rounds alternate between the two, so that a busy machine slows both. Neither time includes reading the file.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

from balance import mean_imbalance
from eplb_numpy import rebalance_experts
from programs import DATA, evenkeel, files_matching, last_line, require_evenkeel

NODES = 4
SECONDS_TO_MS = 1e3


class RunFailed(Exception):
    pass


def counts_of(path):
    return np.array(json.loads(path.read_text())["logical_count"])


def time_numpy(counts, slots, options):
    """Seconds, and the map of the layers that have load."""
    start = time.perf_counter()
    placement = rebalance_experts(counts, slots, options.groups, NODES, options.gpus)
    return time.perf_counter() - start, placement


def time_evenkeel(path, options, out):
    """Seconds by the program's own clock, and the placement file that it wrote."""
    result = evenkeel("partition", path, "--gpus", options.gpus, "--nodes", NODES, "--redundant", options.redundant, "--work", 0,
                      "-o", out, "--json")
    if result.returncode != 0:
        raise RunFailed(f"{path.name}: evenkeel partition ended with {result.returncode}: {last_line(result.stderr)}")
    return json.loads(result.stdout)["solve_seconds"], json.loads(out.read_text())


def figures(seconds, imbalance):
    return {"median_seconds": statistics.median(seconds), "fastest_seconds": min(seconds), "slowest_seconds": max(seconds),
            "imbalance_mean": imbalance}


def compare(path, options, out):
    """One row: both planners on one file."""
    counts = counts_of(path)
    loaded = counts[counts.any(axis=1)]
    slots = counts.shape[1] + options.redundant
    if slots % options.gpus:
        raise RunFailed(f"{path.name}: {slots} slots do not divide over {options.gpus} GPUs")
    numpy_seconds, evenkeel_seconds = [], []
    for _ in range(options.rounds):
        seconds, numpy_map = time_numpy(loaded, slots, options)
        numpy_seconds.append(seconds)
        seconds, written = time_evenkeel(path, options, out)
        evenkeel_seconds.append(seconds)
    ours = mean_imbalance(counts[written["layer_ids"]], written["physical_to_logical_map"], options.gpus)
    row = {"trace": path.name,
           "numpy_eplb": figures(numpy_seconds, mean_imbalance(loaded, numpy_map, options.gpus)),
           "evenkeel": figures(evenkeel_seconds, ours)}
    row["ratio"] = row["numpy_eplb"]["median_seconds"] / row["evenkeel"]["median_seconds"]
    return row


def milliseconds(side):
    median, fastest, slowest = (side[f"{name}_seconds"] * SECONDS_TO_MS for name in ("median", "fastest", "slowest"))
    return f"{median:.2f} ({fastest:.2f} to {slowest:.2f})"


def print_table(rows, options):
    print(f"{options.rounds} rounds, {options.gpus} GPUs on {NODES} nodes, {options.redundant} redundant slots, {options.groups} groups; "
          "median (fastest to slowest); ratio = NumPy EPLB / evenkeel")
    print(f"{'trace':28} {'NumPy EPLB, ms':>24} {'evenkeel, ms':>24} {'ratio':>6} {'imbalance, both':>16}")
    for row in rows:
        print(f"{row['trace']:28} {milliseconds(row['numpy_eplb']):>24} {milliseconds(row['evenkeel']):>24} {row['ratio']:6.2f} "
              f"{row['numpy_eplb']['imbalance_mean']:8.4f} {row['evenkeel']['imbalance_mean']:7.4f}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="runs of each planner on each file; default %(default)s")
    parser.add_argument("--gpus", type=int, default=32, metavar="G", help=f"GPUs, on {NODES} nodes; default %(default)s")
    parser.add_argument("--redundant", type=int, default=32, metavar="R", help="spare slots a layer; default %(default)s")
    parser.add_argument("--groups", type=int, default=1, metavar="N",
                        help=f"routing groups for EPLB: a multiple of {NODES} makes it hierarchical; "
                        "default %(default)s, global, which balances better")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.gpus < NODES or options.gpus % NODES or options.redundant < 0 or options.groups < 1:
        parser.error(f"--rounds and --groups start at 1, --redundant at 0, and --gpus is a multiple of {NODES}")
    return options


def main(arguments):
    options = parse(arguments)
    traces = files_matching("deepseek-v3/*.json")
    if not traces:
        print(f"skipped: no counts at {DATA / 'deepseek-v3'} (set EVENKEEL_DATA)", file=sys.stderr)
        return 0
    require_evenkeel()
    try:
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
            rows = [compare(path, options, pathlib.Path(folder) / "placement.json") for path in traces]
    except RunFailed as failure:
        print(f"planner_speed: {failure}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"rounds": options.rounds, "gpus": options.gpus, "nodes": NODES, "redundant": options.redundant,
                          "groups": options.groups, "rows": rows}, indent=1))
    else:
        print_table(rows, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
