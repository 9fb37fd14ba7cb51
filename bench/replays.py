#!/usr/bin/python3
"""Replays days under several ways to rebalance and writes their tables into docs/results.md."""

import argparse
import dataclasses
import json
import pathlib
import sys

from programs import BUNDLED, ROOT, evenkeel, last_line, require_evenkeel
from results_table import line, splice

DAY = BUNDLED / "evenkeel-moe/day.npz"
INTERVALS = (1, 2, 4, 8)
FIXED = (*(f"every:{n}" for n in INTERVALS), *(f"every:{n}:lpt" for n in (1, 4)), "every:8:evenkeel")


@dataclasses.dataclass(frozen=True)
class Replay:
    """One day: a recorded file, or what `evenkeel synth` makes it with."""
    title: str
    options: tuple
    policies: tuple
    recorded: pathlib.Path | None = None
    synth: tuple = ()


MADE_UP = ("--layers", 4, "--experts", 256, "--top-k", 8, "--tokens", 6400000, "--windows", 64, "--drift", 0.5, "--shift-at", 40, "--seed", 1)
FLAT = ("--layers", 4, "--experts", 256, "--top-k", 8, "--tokens", 6400000, "--windows", 64, "--seed", 1)
ALL = (*FIXED, "evenkeel", "oracle")
REPLAYS = [
    Replay("evenkeel-moe, a day (8 x 64, top 6): 40 windows of 1,815 tokens, 8 GPUs", ("--gpus", 8), ALL, recorded=DAY),
    Replay("made up (4 x 256, top 8): 64 windows of 100,000 tokens that drift, with a sudden change at window 40, 32 GPUs on 4 nodes",
           ("--gpus", 32, "--nodes", 4), ALL, synth=MADE_UP),
    Replay("the same without drift or change", ("--gpus", 32, "--nodes", 4), ("every:1", "every:4", "evenkeel", "oracle"), synth=FLAT),
    Replay("the day that drifts, with more redundant slots", ("--gpus", 32, "--nodes", 4, "--redundant", "0,32,64"),
           ("every:2", "evenkeel", "oracle"), synth=MADE_UP),
    Replay("the day that drifts, on fewer nodes", ("--gpus", 32, "--sweep-nodes", "1,2,4"), ("every:2", "evenkeel", "oracle"), synth=MADE_UP),
]
QUICK = [Replay("evenkeel-moe, a day (8 x 64, top 6): 8 GPUs", ("--gpus", 8, "--work", 100000), ("every:4", "evenkeel", "oracle"), recorded=DAY)]


def checked(*arguments):
    result = evenkeel(*arguments, timeout_s=3600)
    if result.returncode != 0:
        sys.exit(f"replays: evenkeel {arguments[0]} ended with {result.returncode}: {last_line(result.stderr)}")
    return result.stdout


def trace_of(replay, folder):
    """The file of the day, made where it is not there yet."""
    if replay.recorded:
        return replay.recorded
    path = folder / ("synth" + "".join(str(option).replace("--", "-") for option in replay.synth) + ".npz")
    if not path.exists():
        print(f"replays: making {path.name}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        checked("synth", *replay.synth, "-o", path)
    return path


def row(lane, oracle, swept):
    """A line of a table; times beside the oracle's of the same day."""
    return line([lane["policy"], *(str(lane[key]) for key in swept), f"{lane['throughput'] / 1e6:.3f}", f"{lane['step_time_seconds'] * 1e3:.3f}",
                 f"{lane['step_time_seconds'] / oracle['step_time_seconds']:.4f}", f"{lane['step_time_p99_seconds'] * 1e3:.3f}",
                 f"{lane['imbalance_mean']:.4f}", str(lane["moves"]), str(lane["migrations"]), f"{lane['stall_seconds']:.2f}"])


def table_of(replay, document):
    lanes = document["policies"]
    swept = [key for key in ("nodes", "redundant") if len({lane[key] for lane in lanes}) > 1]
    oracles = {tuple(lane[key] for key in swept): lane for lane in lanes if lane["policy"] == "oracle"}
    names = ["policy", *swept, "M tokens/s", "step ms", "of the oracle's", "p99 ms", "imbalance", "moves", "migrations", "stall s"]
    rows = [line(names), line(["---"] + ["---:"] * (len(names) - 1))]
    rows += [row(lane, oracles[tuple(lane[key] for key in swept)], swept) for lane in lanes]
    return "\n".join([f"### {replay.title}", "", f"{document['verdict'].capitalize()}: {document['reason']}.", "", *rows, ""])


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short replay of the bundled day, printed instead of written")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/replays", metavar="FOLDER",
                        help="where made-up days are kept; default out/replays")
    options = parser.parse_args(arguments)
    require_evenkeel()
    tables = []
    for replay in QUICK if options.quick else REPLAYS:
        trace = trace_of(replay, options.out)
        print(f"replays: {replay.title}", file=sys.stderr)
        policies = [part for policy in replay.policies for part in ("--policy", policy)]
        tables.append(table_of(replay, json.loads(checked("replay", trace, *replay.options, *policies, "--json"))))
    if options.quick:
        print("\n".join(tables))
    else:
        document = ROOT / "docs/results.md"
        document.write_text(splice(document.read_text(), "\n".join(tables), "replays"))


if __name__ == "__main__":
    main(sys.argv[1:])
