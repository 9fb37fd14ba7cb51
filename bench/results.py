#!/usr/bin/python3
"""Runs strategies over recorded routing and writes the tables of docs/results.md.

Each run leaves one JSON record, and a run whose record exists is not run again: an interrupted list goes on where it
stopped, and deleting a record repeats its run.
"""

import argparse
import dataclasses
import pathlib
import sys

from programs import DATA, ROOT, files_matching, require_evenkeel
from results_run import Table, Trace, execute, read_record, readable, write_record
from results_table import heading, render_table, splice

TRACES = {
    "evenkeel-moe": Trace("evenkeel-moe, a day (8 x 64, top 6)", "evenkeel-moe/day.npz", 0.5),
    "v2-lite": Trace("DeepSeek-V2-Lite, ESFT (26 x 64, top 6)", "deepseek-v2-lite-esft/tokens_topk.npz", 1),
    "gpt-oss": Trace("gpt-oss-20b (24 x 32, top 4)", "gpt-oss-20b/tokens_topk.npz", 3),
    "mixtral-like": Trace("synthetic, like Mixtral (32 x 8, top 2)", "synthetic/mixtral-like.npz", 1),
    "v2-lite-like": Trace("synthetic, like DeepSeek-V2-Lite (26 x 64, top 6)", "synthetic/v2-lite-like.npz", 1),
    "qwen3-like": Trace("synthetic, like Qwen3 (48 x 128, top 8)", "synthetic/qwen3-like.npz", 3),
    "v3-like": Trace("synthetic, like DeepSeek-V3 (58 x 256, top 8)", "synthetic/v3-like.npz", 4),
    "v3-decode": Trace("DeepSeek-V3, decode (58 x 256)", "deepseek-v3/decode_*.json", 0.5, has_paths=False),
    "v3-prefill": Trace("DeepSeek-V3, prefill (58 x 256)", "deepseek-v3/prefill_*.json", 0.5, has_paths=False),
    "mixtral-base": Trace("Mixtral-8x7B (32 x 8)", "mixtral-8x7b/mixtral_8x7b_original/*.json", 0.2, has_paths=False),
    "mixtral-instruct": Trace("Mixtral-8x7B Instruct (32 x 8)", "mixtral-8x7b/mixtral_8x7b_instruct/*.json", 0.2, has_paths=False),
}

RESIDENT = ("evenkeel", "metis-glpk", "contiguous", "lpt", "eplb", "metis", "metis-naive", "exflow", "moetuner", "moetuner-strong")
DISPATCH = ("evenkeel", "contiguous", "lpt", "eplb", "metis")
WEIGHTED = ("evenkeel", "contiguous", "eplb", "moetuner-strong")
LOADS = ("evenkeel", "contiguous", "lpt", "eplb")
# Each stage left out, then each start by itself with nothing but its swap descent.
ABLATIONS = ("metis", "transport", "search", "glpk", "transport,search,glpk", "metis,search,glpk", "metis,transport,search,glpk")


def resident(trace, gpus, nodes=1, **options):
    return Table(trace, gpus, nodes, strategies=RESIDENT, **options)


def dispatch(trace, gpus, nodes=1, **options):
    return Table(trace, gpus, nodes, comm="dispatch", strategies=DISPATCH, **options)


def weighted(trace, gpus, nodes, beside):
    """The sum that published planners lower, on the whole trace, where an optimum or a reference is known."""
    return Table(trace, gpus, nodes, objective="weighted:0.25,1.0", holdout=0, strategies=WEIGHTED, beside=beside)


def loads(trace, gpus, nodes=1, **options):
    return Table(trace, gpus, nodes, strategies=LOADS, **options)


# Reference: an independent annealing on two threads for 10 s with two cores; the seed moves it by 0.02 to 0.04 %.
TABLES = [
    resident("v2-lite", 8, slack=0.01, without=ABLATIONS),
    resident("gpt-oss", 8, without=("metis", "search")),
    resident("evenkeel-moe", 8, seconds=5),
    resident("mixtral-like", 8, 2, seconds=2),
    resident("qwen3-like", 16, 2),
    resident("v3-like", 32, 4),
    dispatch("v2-lite", 8, slack=0.01, seconds=15, without=("metis", "search")),
    dispatch("v2-lite", 8, slack=0.08, seconds=15),
    dispatch("gpt-oss", 8, slack=0.01, seconds=15, without=("metis", "search")),
    dispatch("gpt-oss", 8, slack=0.05, seconds=15),
    dispatch("qwen3-like", 16, 2, seconds=15),
    weighted("mixtral-like", 4, 1, "the first row is the optimum, by dynamic programming"),
    weighted("mixtral-like", 4, 2, "the first row is the optimum, by dynamic programming"),
    weighted("mixtral-like", 8, 1, "the first row is the optimum, by dynamic programming"),
    weighted("mixtral-like", 8, 2, "the first row is the optimum, by dynamic programming"),
    weighted("v2-lite-like", 8, 1, "the annealing reference, 31.061"),
    weighted("v2-lite-like", 16, 2, "the annealing reference, 46.104"),
    weighted("qwen3-like", 16, 2, "the annealing reference, 77.988"),
    weighted("qwen3-like", 32, 4, "the annealing reference, 111.944"),
    weighted("v3-like", 32, 4, "the annealing reference, 116.384"),
    weighted("v3-like", 64, 8, "the annealing reference, 169.266"),
    loads("v3-decode", 32, 4, seconds=5),
    loads("v3-decode", 32, 4, seconds=5, redundant=32),
    loads("v3-prefill", 32, 4, seconds=5),
    loads("v3-prefill", 32, 4, seconds=5, redundant=32),
    loads("mixtral-base", 4),
    loads("mixtral-instruct", 4),
]
QUICK = [Table("evenkeel-moe", 8, seconds=1, threads=None, strategies=("evenkeel", "contiguous", "eplb"))]


def named_trace(path):
    """A file of the caller's as a trace, and the key that its records go by."""
    key = f"{path.resolve().parent.name}-{path.stem}"
    return key, Trace(path.name, str(path.resolve()), 1, has_paths=path.suffix != ".json")


def print_list(tables, traces):
    total = 0
    for table in tables:
        trace = traces[table.trace]
        is_here = bool(files_matching(trace.pattern))
        seconds = sum(run.seconds_max(trace) for run in table.runs()) if is_here else 0
        total += seconds
        print(f"{seconds:5.0f} s  {heading(table, trace)}" + ("" if is_here else "  [trace absent: skipped]"))
        print("         " + ", ".join(run.label() for run in table.runs()))
    print(f"{total:5.0f} s  in all, at most: {total / 60:.0f} minutes")


def run_table(table, trace, files, options):
    """Runs what has no record yet; the number of runs, old ones too, without a row of scores."""
    failed = 0
    for run in table.runs():
        path = options.out / run.file_name(trace)
        record = read_record(path)
        if record is None or (options.retry and record["row"] is None):
            print(f"results: {path.stem}", file=sys.stderr)
            record = execute(run, trace, readable(files, table.trace, options.out))
            write_record(path, record)
        failed += record["row"] is None
    return failed


def run_all(tables, traces, options):
    """Makes all runs whose trace is here; the number of those that failed."""
    options.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for table in tables:
        trace = traces[table.trace]
        files = files_matching(trace.pattern)
        if files:
            failed += run_table(table, trace, files, options)
        else:
            print(f"results: skipped, nothing matches {trace.pattern} in {DATA} (set EVENKEEL_DATA)", file=sys.stderr)
    return failed


def publish(tables, traces, folder, document):
    """Puts the tables that have a record into the document, or on standard output without one."""
    markdown = "\n".join(filter(None, (render_table(table, traces[table.trace], folder) for table in tables)))
    if document is None:
        print(markdown)
    elif markdown:
        document.write_text(splice(document.read_text(), markdown))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print what would run and for how long at most, and run nothing")
    parser.add_argument("--quick", action="store_true", help="a few short runs on the bundled trace, printed instead of written")
    parser.add_argument("--trace", type=pathlib.Path, metavar="FILE", help="the short runs, on this trace")
    parser.add_argument("--only", metavar="TRACE", choices=TRACES,
                        help="the tables of this trace, printed instead of written: " + ", ".join(TRACES))
    parser.add_argument("--retry", action="store_true", help="make the runs that failed again")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/results", metavar="FOLDER",
                        help="where records are kept; default out/results")
    parser.add_argument("--document", type=pathlib.Path, metavar="FILE",
                        help="the Markdown that gets the tables; default docs/results.md for the whole list, else none")
    options = parser.parse_args(arguments)
    if options.trace and not options.trace.is_file():
        parser.error(f"--trace {options.trace} is not a file")
    return options


def main(arguments):
    options = parse(arguments)
    traces, tables = dict(TRACES), TABLES
    if options.trace:
        key, traces[key] = named_trace(options.trace)
        tables = [dataclasses.replace(table, trace=key) for table in QUICK]
    elif options.quick:
        tables = QUICK
    chosen = [table for table in tables if options.only in (None, table.trace)]
    if options.list:
        print_list(chosen, traces)
        return 0
    require_evenkeel()
    # Part of the list would leave the document without the rest.
    document = options.document or (ROOT / "docs/results.md" if chosen == TABLES else None)
    failed = run_all(chosen, traces, options)
    publish(chosen, traces, options.out, document)
    if failed:
        print(f"results: {failed} of {sum(len(table.runs()) for table in chosen)} runs failed; the tables say why", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
