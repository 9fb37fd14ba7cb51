"""One run of the results: its command, how long it may take, and the record that it leaves."""

import dataclasses
import json
import os
import pathlib
import platform
import re
import subprocess
import time

from programs import evenkeel, last_line

# These place in milliseconds; every other strategy uses its budget.
INSTANT = ("contiguous", "random", "lpt", "eplb", "metis", "metis-naive", "exflow", "moetuner-strong")


@dataclasses.dataclass(frozen=True)
class Trace:
    """Recorded routing of one model; the files that match are read as one."""

    model: str
    pattern: str
    # Reading and scoring, as measured on a Xeon (Sapphire Rapids).
    read_seconds: float
    # False for counts alone: no hold-out, no communication.
    has_paths: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """One table: a trace on a cluster, a row for each strategy and each ablation of evenkeel."""

    trace: str
    gpus: int
    nodes: int = 1
    redundant: int = 0
    comm: str = "resident"
    objective: str | None = None
    slack: float = 0.02
    seconds: int = 10
    threads: int | None = 2
    holdout: float = 0.5
    strategies: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    # A published or exact figure to hold the rows against.
    beside: str = ""

    def runs(self):
        return [Run(self, strategy) for strategy in self.strategies] + [Run(self, "evenkeel", stages) for stages in self.without]


@dataclasses.dataclass(frozen=True)
class Run:
    table: Table
    strategy: str
    # Stages left out, with commas between them.
    without: str = ""

    def label(self):
        return f"{self.strategy} without {self.without.replace(',', ' and ')}" if self.without else self.strategy

    def options(self, trace):
        """Arguments of `evenkeel compare` after the trace."""
        table = self.table
        options = ["--gpus", table.gpus, "--nodes", table.nodes, "--time", f"{table.seconds}s", "--strategies", self.strategy]
        if trace.has_paths:
            options += ["--comm", table.comm, "--slack", table.slack, "--holdout", table.holdout]
        threads = None if self.strategy in INSTANT else table.threads
        for name, value in (("--redundant", table.redundant), ("--objective", table.objective), ("--threads", threads),
                            ("--without", self.without)):
            if value:
                options += [name, value]
        return [str(option) for option in options]

    def file_name(self, trace):
        """Names every option, so that a record is only found again by the same run."""
        words = [self.table.trace, *(option.lstrip("-") for option in self.options(trace))]
        return re.sub("[:,]", "-", "_".join(words)) + ".json"

    def seconds_max(self, trace):
        """The solver keeps to 1.1 times its budget and 0.3 s."""
        return trace.read_seconds + (0.5 if self.strategy in INSTANT else 1.1 * self.table.seconds + 0.3)


def summed_counts(files, out):
    """Expert popularity, one file a subject, as one file of SGLang's counts."""
    layers = [json.loads(file.read_text())["expert_popularity"] for file in files]
    out.write_text(json.dumps({"logical_count": [[sum(counts) for counts in zip(*rows)] for rows in zip(*layers)]}))
    return [out]


def readable(files, key, folder):
    """The files as evenkeel reads them."""
    if files[0].suffix == ".json" and "expert_popularity" in json.loads(files[0].read_text()):
        return summed_counts(files, folder / f"{key}.counts.json")
    return files


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{os.cpu_count()} cores, {cpu.group(1) if cpu else platform.machine()}"


def scores_of(stdout):
    """The one row of scores, null where the program printed none. A strategy that does not finish still prints its row."""
    try:
        return json.loads(stdout)["rows"][0]
    except (ValueError, KeyError, IndexError):
        return None


def without_folders(message, files):
    """A record may be published: it names files, not where they lay."""
    for file in files:
        message = message.replace(str(file), file.name)
    return message


def execute(run, trace, files):
    """Runs it and returns its record; a run that fails or hangs is a record too."""
    start = time.monotonic()
    # Far above what any run should take: a strategy that ignores its budget is a failure to report, not one to wait for.
    timeout_s = 10 * run.seconds_max(trace) + 60
    try:
        result = evenkeel("compare", *files, *run.options(trace), "--json", timeout_s=timeout_s)
        exit_code, stdout, message = result.returncode, result.stdout, last_line(result.stderr) if result.returncode else None
    except subprocess.TimeoutExpired:
        exit_code, stdout, message = None, "", f"stopped after {timeout_s:.0f} s"
    return {"options": run.options(trace), "exit_code": exit_code, "message": message and without_folders(message, files),
            "wall_seconds": round(time.monotonic() - start, 3), "version": evenkeel("--version").stdout.strip(),
            "machine": machine(), "row": scores_of(stdout)}


def write_record(path, record):
    """All of it or nothing, so that an interrupted run is run again."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.replace(path)


def read_record(path):
    """None where the run has not been made."""
    return json.loads(path.read_text()) if path.exists() else None
