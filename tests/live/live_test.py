"""Runs the two programs as real processes: migration, kill -9, a cut broadcast, latecomers.

Usage: live_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ["EVENKEEL_BIN"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
TRACE = ROOT / "tests" / "data" / "evenkeel-moe" / "day.npz"
# Far beyond what a machine that does nothing else needs.
DEADLINE_S = 60
# Sanitizers have a shadow of all memory and keep what is freed.
MEMORY_FACTOR = 8 if os.environ.get("EVENKEEL_SANITIZE") else 1


def free_endpoint():
    """Below the ports that outgoing connections get, so that it is still free when a killed program starts again."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return f"tcp://127.0.0.1:{port}"


def flags(settings):
    """{"min_tokens": 5} as ["--min-tokens", 5]."""
    return [part for name, value in settings.items() for part in ("--" + name.replace("_", "-"), value)]


def events(path):
    """Every whole line of an event log that may still be growing."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


class Group:
    """A rebalancer and its agents in one folder. Ends whatever still runs when the test is over."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.test = test
        self.folder = pathlib.Path(folder.name)
        self.bind = free_endpoint()
        self.publish = free_endpoint()

    def start(self, program, *arguments):
        log = open(self.folder / f"{program}.log", "a")
        self.test.addCleanup(log.close)
        command = [str(BIN / program), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.test.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()

    def rebalancer(self, **settings):
        defaults = {
            "bind": self.bind, "publish": self.publish, "state": self.folder / "state", "gpus": 8, "nodes": 2,
            "agents": 2, "min_tokens": 5000, "min_interval_ms": 200, "max_migrations": 1, "solve_seconds": 0.3,
            "warmup_windows": 0, "spare": 64,
            "prepare_timeout_ms": 15000}
        return self.start("evenkeel-rebalancer", *flags({**defaults, **settings}))

    def agent(self, rank, **settings):
        defaults = {
            "replay": TRACE, "rank": rank, "world": 2, "rebalancer": self.bind, "subscribe": self.publish,
            "report_interval_ms": 100, "contact_timeout_ms": 1000, "log_json": self.log(rank),
            "probe": self.probe(rank), "orphan_timeout_ms": 3000}
        return self.start("evenkeel-agent", *flags({**defaults, **settings}))

    def probe(self, rank):
        return f"{self.folder.name}-{rank}"

    def log(self, rank):
        return self.folder / f"agent-{rank}.jsonl"

    def wait_until(self, what, condition):
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.02)
        logs = "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))
        self.test.fail(f"{what}: not within {DEADLINE_S} s\n{logs}")

    def applied(self, rank):
        """(epoch, digest) that an agent applied last, or None."""
        found = [(e["epoch"], e["digest"]) for e in events(self.log(rank)) if e["event"] == "epoch_applied"]
        return found[-1] if found else None

    def wait_for_common_epoch(self, least):
        def common():
            first, second = self.applied(0), self.applied(1)
            return first if first and first == second and first[0] >= least else None

        return self.wait_until(f"both agents in one epoch of at least {least}", common)

    def wait_for_event(self, rank, name):
        def found():
            return next((e for e in events(self.log(rank)) if e["event"] == name), None)

        return self.wait_until(f"agent {rank} says {name}", found)

    def records(self):
        """(kind, epoch) of every record of a journal that nobody has open."""
        with contextlib.closing(sqlite3.connect(self.folder / "state" / "journal.sqlite")) as journal:
            return journal.execute("SELECT kind, epoch FROM record ORDER BY sequence").fetchall()


class LiveTest(unittest.TestCase):
    def setUp(self):
        self.group = Group(self)

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def test_two_agents_end_in_the_same_epoch_with_the_same_map(self):
        rebalancer = self.group.rebalancer()
        agents = [self.group.agent(rank, exit_at_epoch=1, exit_after_ms=1000 * DEADLINE_S) for rank in (0, 1)]
        lines = [agent.communicate(timeout=DEADLINE_S)[0].split() for agent in agents]
        self.assertEqual([agent.returncode for agent in agents], [0, 0])
        self.assertEqual(lines[0][0], "epoch=1")
        self.assertEqual(lines[0][:3], lines[1][:3])
        self.stop(rebalancer)
        self.assertEqual(self.group.records(), [("PREPARE", 0), ("COMMIT", 0), ("PREPARE", 1), ("COMMIT", 1)])

    def test_kill_between_prepare_and_commit_ends_with_both_agents_in_one_epoch(self):
        rebalancer = self.group.rebalancer()
        agents = [self.group.agent(rank, load_ms=1500) for rank in (0, 1)]
        for rank in (0, 1):
            self.group.wait_for_event(rank, "epoch_prepared")
        rebalancer.kill()
        rebalancer.wait()
        self.assertEqual(self.group.records(), [("PREPARE", 0), ("COMMIT", 0), ("PREPARE", 1)])
        self.assertEqual([self.group.applied(rank)[0] for rank in (0, 1)], [0, 0])

        rebalancer = self.group.rebalancer()
        epoch, _ = self.group.wait_for_common_epoch(1)
        self.assertGreaterEqual(epoch, 2, "epoch 1 was given up; its number never names another map")
        self.stop(rebalancer)
        records = self.group.records()
        self.assertIn(("ABORT", 1), records)
        self.assertNotIn(("COMMIT", 1), records)
        self.assertIn(("COMMIT", epoch), records)
        for agent in agents:
            self.stop(agent)

    def test_kill_after_commit_completes_forward(self):
        rebalancer = self.group.rebalancer()
        self.group.agent(0)
        agent = self.group.agent(1)
        committed = self.group.wait_for_common_epoch(1)
        rebalancer.kill()
        rebalancer.wait()
        agent.kill()
        agent.wait()
        self.group.log(1).unlink()

        self.group.rebalancer(max_migrations=0)
        self.group.agent(1)
        self.assertEqual(self.group.wait_for_common_epoch(1), committed)

    def test_agents_that_hear_no_broadcast_migrate_all_the_same(self):
        self.group.rebalancer()
        for rank in (0, 1):
            self.group.agent(rank, subscribe=free_endpoint())
        self.group.wait_for_common_epoch(1)

    def test_a_late_agent_and_a_restarted_one_converge(self):
        self.group.rebalancer()
        self.group.agent(0)
        self.group.wait_for_event(0, "epoch_applied")
        late = self.group.agent(1)
        committed = self.group.wait_for_common_epoch(1)
        late.kill()
        late.wait()
        self.group.log(1).unlink()
        self.group.agent(1)
        self.group.wait_for_event(1, "epoch_applied")
        self.assertEqual(self.group.applied(1), committed)

    def test_an_agent_started_before_the_rebalancer_waits_for_it(self):
        for rank in (0, 1):
            self.group.agent(rank)
        self.group.wait_for_event(0, "agent_started")
        self.group.rebalancer()
        self.group.wait_for_common_epoch(1)

    def test_two_rebalancers_cannot_share_a_journal(self):
        self.group.rebalancer()
        self.group.agent(0)
        self.group.wait_for_event(0, "epoch_applied")
        self.group.bind, self.group.publish = free_endpoint(), free_endpoint()
        self.assertEqual(self.group.rebalancer().wait(timeout=DEADLINE_S), 1)


class CommandLineTest(unittest.TestCase):
    def run_rebalancer(self, environment=None, **settings):
        with tempfile.TemporaryDirectory() as folder:
            given = flags({"state": folder, "gpus": 8, "agents": 2, **settings})
            command = [str(BIN / "evenkeel-rebalancer"), *map(str, given)]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=DEADLINE_S, env={**os.environ, **(environment or {})})

    def assert_refused(self, result, *words):
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_endpoints_that_others_can_reach_are_refused(self):
        for host in ("0.0.0.0", "*", "127.0.0.1.example.org", "10.0.0.1"):
            endpoint = f"tcp://{host}:5591"
            self.assert_refused(self.run_rebalancer(bind=endpoint), "--bind", endpoint, "--insecure")
        self.assert_refused(self.run_rebalancer(publish="tcp://[::]:5592"), "--publish", "--insecure")

    def test_bad_values_name_the_flag_the_value_and_the_remedy(self):
        self.assertEqual(self.run_rebalancer(nodes=3).returncode, 3)
        self.assert_refused(self.run_rebalancer(min_gain=7), "--min-gain", "7", "0 to 1")
        self.assert_refused(self.run_rebalancer(agents=0), "--agents")
        self.assert_refused(self.run_rebalancer(agents="many"), "--agents", "many")
        self.assert_refused(self.run_rebalancer(agentz=2), "'--agentz' is unknown; did you mean '--agents'?")
        self.assert_refused(self.run_rebalancer(gpus=-2), "--gpus", "'-2' is no whole number")
        self.assert_refused(self.run_rebalancer(min_tokens=-5), "--min-tokens", "'-5' is no whole number")

    def test_a_settings_file_gives_way_to_the_environment_and_that_to_flags(self):
        path, variable = self.settings_file("min_gain: 7\n"), {"EVENKEEL_REBALANCER_MIN_GAIN": "8"}
        self.assert_refused(self.run_rebalancer(config=path), "gain_min_ratio is 7", "(--min-gain)")
        self.assert_refused(self.run_rebalancer(variable, config=path), "gain_min_ratio is 8", "(--min-gain)")
        self.assert_refused(self.run_rebalancer(variable, config=path, min_gain=9), "gain_min_ratio is 9", "(--min-gain)")

    def test_a_bad_settings_file_names_the_key(self):
        unknown = self.settings_file("min_tokns: 5\n")
        self.assert_refused(self.run_rebalancer(config=unknown), "min_tokns", "min_tokens")
        mistyped = self.settings_file("min_tokens: five\n")
        self.assert_refused(self.run_rebalancer(config=mistyped), "min-tokens", "five")

    def settings_file(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "service.yaml"
        path.write_text(text)
        return path

    def test_the_example_settings_file_is_read(self):
        path = ROOT / "configs" / "rebalancer.yaml"
        self.assert_refused(self.run_rebalancer(config=path, min_gain=7), "gain_min_ratio is 7", "(--min-gain)")

    def test_the_agent_needs_neither_metis_nor_glpk(self):
        for program in ("bin/evenkeel-agent", "bin/evenkeel-stand-in", "lib/libevenkeel_probe.so"):
            libraries = subprocess.run(["ldd", str(BIN.parent / program)], capture_output=True, text=True, check=True)
            self.assertIn("libstdc++", libraries.stdout)
            for name in ("metis", "glpk"):
                self.assertNotIn(name, libraries.stdout)

    def test_the_agent_refuses_a_rank_outside_the_world(self):
        command = [str(BIN / "evenkeel-agent"), "--replay", str(TRACE), "--rank", "2", "--world", "2"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
        self.assert_refused(result, "--rank", "2", "0 to 1")


if __name__ == "__main__":
    unittest.main()
