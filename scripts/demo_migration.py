"""One rebalancer and eight agents replay a day's traffic: demo_migration.py BIN TRACE OUT

Prints each window's imbalance as it was served, what was decided about it and why, and what each epoch of a migration
did to it; then a summary. Logs, journal and the workers' own logs go to OUT. Ends with the trace, or after 45 s.
"""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import time

GPUS = 8
DEADLINE_S = 45
# A migration moves at most 25 % of 512 slots, 16 experts to a GPU on average: two epochs, mostly.
SPARE_BUFFERS = 16
TOKENS_PER_SECOND = 3000


def free_endpoint():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Demo:
    def __init__(self, folder, trace, out):
        self.bin, self.trace, self.out = folder, trace, out
        shutil.rmtree(out / "state", ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        self.bind, self.publish = free_endpoint(), free_endpoint()
        # Names of shared memory, which other runs on this machine must not share.
        self.group = f"demo-{os.getpid()}"
        self.windows = []
        self.epochs = []
        self.lags_ms = []
        self.moves = []

    def start(self, program, name, *arguments):
        with open(self.out / f"{name}.log", "w") as log, open(self.out / f"{name}.txt", "w") as answer:
            command = [str(self.bin / program), *map(str, arguments)]
            return subprocess.Popen(command, stdout=answer, stderr=log)

    def start_rebalancer(self):
        return self.start(
            "evenkeel-rebalancer", "rebalancer", "--state", self.out / "state", "--bind", self.bind,
            "--publish", self.publish, "--gpus", GPUS, "--agents", GPUS, "--window-steps", 0, "--steps-per-window", 1000,
            "--min-interval-ms", 0, "--min-tokens", 100, "--solve-seconds", 0.15, "--spare", SPARE_BUFFERS)

    def start_agent(self, rank):
        return self.start(
            "evenkeel-agent", f"agent-{rank}", "--replay", self.trace, "--rank", rank, "--world", GPUS,
            "--rebalancer", self.bind, "--subscribe", self.publish, "--model", self.group, "--rendezvous", self.group,
            "--passes", 1, "--tokens-per-second", TOKENS_PER_SECOND, "--report-interval-ms", 50,
            "--steps-per-window", 1000, "--spare-buffers", SPARE_BUFFERS, "--log-json", self.out / f"agent-{rank}.jsonl",
            "--map-log", self.out / f"maps-{rank}.jsonl")

    def follow(self, log, is_over):
        """Tells every event as it comes, until the processes are over and the log is read."""
        while True:
            line = log.readline()
            if line.endswith("\n"):
                self.tell(line)
            elif is_over():
                return
            else:
                time.sleep(0.02)

    def tell(self, line):
        found = re.search(r"event=.*", line)
        event = dict(part.split("=", 1) for part in shlex.split(found[0]) if "=" in part) if found else {}
        kind = event.get("event")
        if kind == "plan_decided":
            self.windows.append((int(event["window"]), float(event["imbalance"])))
            self.lags_ms.append(float(event["lag_ms"]))
            print(f"window {event['window']:>2}: imbalance {float(event['imbalance']):.3f}"
                  f"{', the traffic has changed' if 'sudden' in event else ''}; {event['verdict']}: {event['reason']}")
        elif kind == "epoch_committed" and "imbalance_before" in event:
            self.epochs.append(int(event["epoch"]))
            print(f"           epoch {event['epoch']}: {event['copies']} experts copied, imbalance of that traffic "
                  f"{float(event['imbalance_before']):.3f} -> {float(event['imbalance_after']):.3f}")
        elif kind == "migration_finished":
            self.moves.append(int(event["slots_moved"]))
            self.lags_ms[-1] = float(event["lag_ms"])
        elif kind in ("epoch_aborted", "migration_dropped"):
            print(f"           {kind.replace('_', ' ')}: {event['reason']}")

    def summary(self):
        def mean_from(first):
            found = [imbalance for window, imbalance in self.windows if window >= first]
            return statistics.fmean(found) if found else float("nan")

        slots = 8 * 64
        print(f"\n{len(self.windows)} windows, {len(self.moves)} migrations in {len(self.epochs)} epochs, "
              f"at most {max(self.moves, default=0) / slots:.1%} of the slots in one")
        print(f"imbalance (max / mean GPU load), mean over layers and windows: {mean_from(5):.3f} from window 5 on, "
              f"{mean_from(28):.3f} from window 28 on")
        if self.lags_ms:
            print(f"from a window's end until what follows from it is in force: {statistics.median(self.lags_ms):.0f} ms "
                  f"(median), {max(self.lags_ms):.0f} ms (longest)")

    def run(self):
        rebalancer = self.start_rebalancer()
        agents = [self.start_agent(rank) for rank in range(GPUS)]
        deadline = time.monotonic() + DEADLINE_S - 5

        def is_over():
            return (time.monotonic() > deadline or rebalancer.poll() is not None
                    or all(agent.poll() is not None for agent in agents))

        try:
            with open(self.out / "rebalancer.log") as log:
                self.follow(log, is_over)
            codes = [agent.poll() for agent in agents]
        finally:
            for process in (*agents, rebalancer):
                if process.poll() is None:
                    process.terminate()
            for process in (*agents, rebalancer):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=4)
                if process.poll() is None:
                    process.kill()
        self.summary()
        if rebalancer.returncode != 0 or codes != [0] * GPUS:
            print(f"the replay did not end well (agents {codes}, rebalancer {rebalancer.returncode}); logs are in "
                  f"{self.out}", file=sys.stderr)
            return 1
        return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(Demo(pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])).run())
