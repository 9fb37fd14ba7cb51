#!/usr/bin/python3
"""The modelled step of traffic that no placement was fitted to, under dispatch: LPT, EPLB, and evenkeel with each slack.

Every trace is split at random, half to fit and half to score, once in turn and with --holdout-seed 1 to 4. Prints a table in
Markdown: means over the splits, and the largest ratio to the better of LPT and EPLB that any split had.
"""

import argparse
import json
import statistics
import sys

from programs import DATA, evenkeel, last_line, require_evenkeel

TRACES = {"gpt-oss-20b": "gpt-oss-20b/tokens_topk.npz", "DeepSeek-V2-Lite (ESFT)": "deepseek-v2-lite-esft/tokens_topk.npz"}
GPUS = (8, 16)
SEEDS = (None, 1, 2, 3, 4)
SLACKS = ("auto", "0", "0.02", "0.05")


def step_ms(trace, gpus, seed, slack, strategies, budget):
    """Held-out modelled step of each strategy in ms."""
    split = [] if seed is None else ["--holdout-seed", seed]
    finished = evenkeel("compare", DATA / trace, "--gpus", gpus, "--holdout", 0.5, *split, "--slack", slack, "--strategies", strategies,
                        *budget, "--json")
    if finished.returncode != 0:
        sys.exit(last_line(finished.stderr))
    return {row["strategy"]: 1e3 * row["held_out"]["step_time_seconds"] for row in json.loads(finished.stdout)["rows"]}


def splits(trace, gpus, budget):
    for seed in SEEDS:
        found = step_ms(trace, gpus, seed, "auto", "lpt,eplb,evenkeel", budget)
        found["auto"] = found.pop("evenkeel")
        for slack in SLACKS[1:]:
            found[slack] = step_ms(trace, gpus, seed, slack, "evenkeel", budget)["evenkeel"]
        yield found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=int, default=300_000_000, help="work units a strategy; the default takes three to four seconds on two cores")
    budget = ("--work", parser.parse_args().work)
    require_evenkeel()
    columns = ("lpt", "eplb", *SLACKS)
    print("| trace | GPUs | LPT | EPLB | evenkeel | slack 0 | slack 0.02 | slack 0.05 | worst against LPT and EPLB |")
    print("| --- | ---: |" + " ---: |" * (len(columns) + 1))
    for name, trace in TRACES.items():
        for gpus in GPUS:
            found = list(splits(trace, gpus, budget))
            means = [statistics.fmean(one[column] for one in found) for column in columns]
            worst = max(one["auto"] / min(one["lpt"], one["eplb"]) for one in found)
            print(f"| {name} | {gpus} | " + " | ".join(f"{mean:.3f}" for mean in means) + f" | {worst:.4f} |", flush=True)


if __name__ == "__main__":
    main()
