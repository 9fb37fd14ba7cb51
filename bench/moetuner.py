#!/usr/bin/python3
"""MoETuner's experiment as far as published facts allow, under our step-time model; writes its table of docs/results.md.

Mixtral's shape, 4-way expert parallelism on one node of H100 and on two of H200, half of the sequences held out.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile

from programs import ROOT, evenkeel, files_matching, last_line, require_evenkeel
from results_table import line, splice

STRATEGIES = ("contiguous", "moetuner", "moetuner-strong", "evenkeel")

# Weights of Mixtral-8x7B's attention beside its experts: q and o of 4096 x 4096, k and v of 4096 x 1024 (config.json of
# mistralai/Mixtral-8x7B-v0.1: 8 of 32 heads for keys and values).
ATTENTION_WEIGHTS = 2 * 4096 * (4096 + 1024)
BF16_FLOP_PER_S, REACHED_RATIO = 989.5e12, 0.5
RANKS, BATCH_TOKENS = 4, 8192
OTHER_US = 2 * ATTENTION_WEIGHTS * BATCH_TOKENS / RANKS / (BF16_FLOP_PER_S * REACHED_RATIO) * 1e6


@dataclasses.dataclass(frozen=True)
class Setting:
    """A cluster of the paper, section 5 of arXiv 2502.06643."""

    nodes: int
    # Published end-to-end speed-up over Megatron-LM's contiguous blocks, %.
    published: float
    hardware: str
    # ConnectX-7: 400 Gbit/s in the H100 node, 800 in the H200 nodes.
    inter_gb_per_s: int

    def yaml(self, other_us):
        return (f"hardware: {self.hardware}\ngpus: {RANKS}\nnodes: {self.nodes}\n"
                f"inter_node: {{bandwidth_gb_per_s: {self.inter_gb_per_s}}}\nstep_time: {{other_per_layer_us: {other_us:.1f}}}\n")


SETTINGS = (Setting(1, 9.3, "h100", 50), Setting(2, 17.5, "h200", 100))
# Name, pattern and model of each trace; without a model the step-time model is DeepSeek-V3's.
MIXTRAL = "mixtral-8x7b"
TRACES = (("mixtral-like", "synthetic/mixtral-like.npz", MIXTRAL),
          ("v2-lite-like", "synthetic/v2-lite-like.npz", "deepseek-v2-lite"),
          ("v2-lite", "deepseek-v2-lite-esft/tokens_topk.npz", "deepseek-v2-lite"),
          ("gpt-oss", "gpt-oss-20b/tokens_topk.npz", "gpt-oss-20b"),
          ("evenkeel-moe", "evenkeel-moe/day.npz", None))


@dataclasses.dataclass(frozen=True)
class Case:
    trace: str
    file: pathlib.Path
    model: str | None
    setting: Setting
    comm: str


def step_seconds(case, *budget):
    """Held-out step time of each strategy, None where it has no placement; `budget` is --time or --work."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as cluster:
        cluster.write(case.setting.yaml(OTHER_US if case.model == MIXTRAL else 0))
        cluster.flush()
        options = ["--cluster", cluster.name, "--comm", case.comm, "--batch-tokens", BATCH_TOKENS, "--holdout", 0.5,
                   "--slack", "auto", *budget, "--strategies", ",".join(STRATEGIES), "--json"]
        options += ["--model", case.model] if case.model else []
        result = evenkeel("compare", case.file, *options)
    if result.returncode:
        raise RuntimeError(f"{case.trace}: {last_line(result.stderr)}")
    rows = json.loads(result.stdout)["rows"]
    return {row["strategy"]: row["held_out"] and row["held_out"]["step_time_seconds"] for row in rows}


def speed_ups(steps):
    """Of each strategy over contiguous, in %."""
    return {name: None if step is None else 100 * (steps["contiguous"] / step - 1) for name, step in steps.items()}


def cases(only=None):
    """Every case whose trace is here."""
    for name, pattern, model in TRACES:
        files = files_matching(pattern)
        if only not in (None, name) or not files:
            continue
        for setting in SETTINGS:
            for comm in ("resident", "dispatch"):
                yield Case(name, files[0], model, setting, comm)


def cell(value):
    return "-" if value is None else f"{value:.1f} %"


def table(results):
    """Markdown with a row a case; published figures beside the one trace that has Mixtral's shape."""
    lines = [line(["trace", "nodes", "tokens travel", "moetuner", "moetuner-strong", "evenkeel", "published"]),
             "| --- | ---: | --- | ---: | ---: | ---: | ---: |"]
    for case, gains in results:
        published = f"{case.setting.published} %" if case.model == MIXTRAL else "-"
        lines.append(line([case.trace, str(case.setting.nodes), case.comm, *(cell(gains[name]) for name in STRATEGIES[1:]), published]))
    return "\n".join(lines)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[name for name, _, _ in TRACES], help="this trace alone, printed instead of written")
    parser.add_argument("--seconds", type=int, default=6, help="solver time of each strategy; default 6")
    parser.add_argument("--document", type=pathlib.Path, metavar="FILE",
                        help="the Markdown that gets the table; default docs/results.md where all traces are there")
    options = parser.parse_args(arguments)
    require_evenkeel()
    results = []
    for case in cases(options.only):
        print(f"moetuner: {case.trace}, {case.setting.nodes} nodes, {case.comm}", file=sys.stderr)
        results.append((case, speed_ups(step_seconds(case, "--time", f"{options.seconds}s"))))
    behind = [case for case, gains in results if gains["evenkeel"] < gains["moetuner-strong"]]
    document = options.document or (ROOT / "docs/results.md" if len(results) == 4 * len(TRACES) else None)
    if document:
        document.write_text(splice(document.read_text(), table(results) + "\n", "moetuner"))
    else:
        print(table(results))
    for case in behind:
        print(f"moetuner: {case.trace}, {case.setting.nodes} nodes, {case.comm}: evenkeel is behind moetuner-strong", file=sys.stderr)
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
