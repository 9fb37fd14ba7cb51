"""Workers, agents and the rebalancer as real processes with a bad network between them, killed and started again.

Usage: probe_live_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_maps  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from live_test import BIN, DEADLINE_S, MEMORY_FACTOR, TRACE, Group, events, flags, free_endpoint  # noqa: E402

ENGINE = pathlib.Path(__file__).with_name("engine.py")
LIBRARY = BIN.parent / "lib" / "libevenkeel_probe.so"
RANKS = 4
WINDOWS = 40


def fnv1a(numbers):
    """As agents/wire names tables of counts: FNV-1a over eight little-endian bytes a number."""
    value = 0xCBF29CE484222325
    for number in numbers:
        for byte in int(number).to_bytes(8, "little"):
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def trace_totals():
    ids = np.load(TRACE)["ids"]
    counts = [np.bincount(ids[:, layer].ravel(), minlength=64) for layer in range(ids.shape[1])]
    return ids.shape[0], fnv1a(np.concatenate(counts))


class ReplayGroup(Group):
    """Four ranks that switch together, at a pace that makes their replay of the day last a few seconds."""

    def __init__(self, test):
        super().__init__(test)
        self.agent_bind, self.agent_publish = self.bind, self.publish

    def rebalancer(self, **settings):
        return super().rebalancer(**{"agents": RANKS, "max_migrations": 100, "solve_seconds": 0.1, **settings})

    def agent(self, rank, **settings):
        return super().agent(rank, **{
            "world": RANKS, "rendezvous": self.folder.name, "map_log": self.map_log(rank), "passes": 1,
            "tokens_per_second": 2000, "decision_wait_ms": 100, "rebalancer": self.agent_bind,
            "subscribe": self.agent_publish, "contact_timeout_ms": 400, **settings})

    def map_log(self, rank):
        return self.folder / f"map-{rank}.jsonl"

    def windows_begun(self):
        """Of the slowest rank."""
        return min(len(check_maps.read(self.map_log(rank))) if self.map_log(rank).exists() else 0 for rank in range(RANKS))

    def check_maps(self):
        return check_maps.check([self.map_log(rank) for rank in range(RANKS)])

    def behind_faults(self, seed):
        self.agent_bind, self.agent_publish = free_endpoint(), free_endpoint()
        proxy = FaultProxy(self.agent_bind, self.bind, self.agent_publish, self.publish, seed)
        proxy.start()
        self.test.addCleanup(proxy.stop)
        return proxy

    def end_word(self, rebalancer):
        """What the rebalancer says it has counted when it is asked to stop."""
        self.test.stop(rebalancer)
        log = (self.folder / "evenkeel-rebalancer.log").read_text()
        lines = [line for line in log.splitlines() if "event=rebalancer_stopped" in line or "event=totals_counted" in line]
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(lines[-2:])))


class ProbeLiveTest(unittest.TestCase):
    def setUp(self):
        self.group = ReplayGroup(self)

    def stop(self, process):
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def assert_exact(self, rebalancer):
        said = self.group.end_word(rebalancer)
        tokens, digest = trace_totals()
        self.assertEqual((int(said["tokens"]), said["counts_digest"]), (tokens, digest))
        return said

    def wait_for_ends(self, agents):
        for agent in agents:
            self.assertEqual(agent.wait(timeout=DEADLINE_S), 0)

    def test_counts_are_exact_through_faults_and_kills_and_no_step_has_two_maps(self):
        proxy = self.group.behind_faults(seed=1)
        chance = random.Random(2)
        rebalancer = self.group.rebalancer()
        # So slow that a busy machine too has a migration and kills before the day ends.
        pace = {"tokens_per_second": 1000}
        agents = [self.group.agent(rank, **pace) for rank in range(RANKS)]
        kills = 0
        # One migration through the faults alone, so that the checker has something to find.
        self.group.wait_until("a migration", lambda: (self.group.applied(0) or (0,))[0] >= 1)
        while self.group.windows_begun() < WINDOWS - 8:
            time.sleep(chance.uniform(0.4, 0.8))
            self.assertTrue(all(agent.poll() is None for agent in agents), "an agent has ended before its time")
            if kills % 3 == 0:
                rebalancer.kill()
                rebalancer.wait()
                rebalancer = self.group.rebalancer()
            else:
                rank = chance.randrange(RANKS)
                agents[rank].kill()
                agents[rank].wait()
                agents[rank] = self.group.agent(rank, **pace)
            kills += 1
        self.wait_for_ends(agents)
        self.assert_exact(rebalancer)
        self.assertGreaterEqual(kills, 1)
        self.assertGreater(proxy.counts["dropped"], 50)
        changes = self.group.check_maps()
        self.assertGreater(len(changes), 1, "no migration: the checker had nothing to find")

    def test_counts_are_exact_with_the_broadcast_cut(self):
        rebalancer = self.group.rebalancer()
        self.group.agent_publish = free_endpoint()
        agents = [self.group.agent(rank, tokens_per_second=30000) for rank in range(RANKS)]
        self.wait_for_ends(agents)
        said = self.assert_exact(rebalancer)
        self.assertGreaterEqual(int(said["epochs_committed"]), 1)
        self.group.check_maps()

    def test_a_worker_that_is_never_ready_makes_the_epoch_be_given_up(self):
        rebalancer = self.group.rebalancer(prepare_timeout_ms=400)
        for rank in range(RANKS):
            self.group.agent(rank, passes=0, load_ms=3_600_000 if rank == 2 else 0)
        log = self.group.folder / "evenkeel-rebalancer.log"
        self.group.wait_until("ABORT", lambda: "event=epoch_aborted" in log.read_text())
        self.assertIn("the deadline has passed", log.read_text())
        self.group.wait_for_event(0, "epoch_discarded")
        said = self.group.end_word(rebalancer)
        self.assertGreaterEqual(int(said["epochs_aborted"]), 1)
        self.assertEqual(int(said["epochs_committed"]), 0)
        self.assertEqual({epoch for _, epoch, _ in self.group.check_maps()} - {-1}, {0})

    def test_a_late_agent_converges_in_one_round_trip(self):
        self.group.rebalancer(max_migrations=0)
        agents = [self.group.agent(rank, passes=0) for rank in range(RANKS)]
        for rank in range(RANKS):
            self.group.wait_for_event(rank, "epoch_applied")
        agents[1].kill()
        agents[1].wait()
        self.group.log(1).unlink()
        late = self.group.agent(1, passes=0, contact_timeout_ms=5000)
        self.group.wait_for_event(1, "contact_made")
        self.stop(late)
        log = events(self.group.log(1))
        self.assertEqual([event["event"] for event in log[:3]], ["agent_started", "epoch_applied", "contact_made"])
        self.assertEqual(log[-1]["messages_refused"], 0)
        # A HELLO that is not answered within 200 ms is repeated.
        if log[2]["elapsed_ms"] - log[0]["elapsed_ms"] < 200:
            self.assertEqual(log[-1]["hellos_sent"], 1)

    def test_the_worker_outlives_its_agent_and_the_next_agent_goes_on_with_its_counts(self):
        rebalancer = self.group.rebalancer(max_migrations=0)
        agents = [self.group.agent(rank, tokens_per_second=12000) for rank in range(RANKS)]
        self.group.wait_for_event(0, "epoch_applied")
        before = next(event for event in events(self.group.log(0)) if event["event"] == "agent_started")
        agents[0].kill()
        agents[0].wait()
        begun = len(check_maps.read(self.group.map_log(0)))
        segment = pathlib.Path("/dev/shm") / f"evenkeel-probe.{self.group.probe(0)}"
        self.group.wait_until("it plays on", lambda: len(check_maps.read(self.group.map_log(0))) > begun + 1)
        self.assertTrue(segment.exists())
        agents[0] = self.group.agent(0, tokens_per_second=12000)
        self.wait_for_ends(agents)
        self.assert_exact(rebalancer)
        started = [event for event in events(self.group.log(0)) if event["event"] == "agent_started"]
        self.assertEqual([event["incarnation"] for event in started], [before["incarnation"]] * 2)
        self.group.wait_until("the segment is gone", lambda: not segment.exists())


class Attached(unittest.TestCase):
    """One agent beside engines that call the probe from Python."""

    def setUp(self):
        self.group = Group(self)
        self.addCleanup(self.remove_segments)
        self.rebalancer = self.start_rebalancer()
        self.probes = [self.group.probe(rank) for rank in range(2)]
        self.agent = self.start_agent(self.probes)

    def start_agent(self, probes, log=0):
        return self.group.start(
            "evenkeel-agent", "--attach", ",".join(probes), "--rebalancer", self.group.bind, "--subscribe",
            self.group.publish, "--report-interval-ms", 100, "--log-json", self.group.log(log))

    @staticmethod
    def segment(probe):
        return pathlib.Path("/dev/shm") / f"evenkeel-probe.{probe}"

    def remove_segments(self):
        """Of workers that were killed with nobody left to report them."""
        for path in pathlib.Path("/dev/shm").glob(f"evenkeel-probe.{self.group.folder.name}*"):
            path.unlink()

    def start_rebalancer(self, **settings):
        return self.group.rebalancer(gpus=2, nodes=1, min_tokens=20000, max_migrations=1, **settings)

    def engine(self, rank, steps, model="engine", probe=None):
        command = [sys.executable, ENGINE, LIBRARY, probe or self.probes[rank], str(rank), "2", str(steps), model]
        # A sanitizer must be there before the library that was built with it; what Python never frees is its own affair.
        environment = {**os.environ, "LD_PRELOAD": os.environ.get("EVENKEEL_PRELOAD", ""), "ASAN_OPTIONS": "detect_leaks=0"}
        engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(engine.stdin.close)
        self.addCleanup(self.group.end, engine)
        return engine

    def event_count(self, name):
        return sum(event["event"] == name for event in events(self.group.log(0)))

    def totals_when_all_is_stopped(self):
        """Tokens by model."""
        for program in (self.agent, self.rebalancer):
            program.terminate()
            self.assertEqual(program.wait(timeout=DEADLINE_S), 0)
        log = (self.group.folder / "evenkeel-rebalancer.log").read_text()
        lines = [line for line in log.splitlines() if "event=totals_counted" in line]
        return {re.search(r"model=(\S+)", line)[1]: int(re.search(r"tokens=(\d+)", line)[1]) for line in lines}

    def tokens_reported(self):
        result = self.group.start("evenkeel", "status", "--endpoint", self.group.folder / "state", "--json")
        models = json.loads(result.communicate(timeout=DEADLINE_S)[0] or "{}").get("models", [])
        return models[0]["tokens"] if models else 0

    def tokens_when_all_is_stopped(self):
        return self.totals_when_all_is_stopped()["engine"]


class AttachTest(Attached):
    def test_both_engines_are_migrated_to_one_map_and_counted_exactly(self):
        engines = [self.engine(rank, steps=1500) for rank in range(2)]
        said = [engine.stdout.readline().split() for engine in engines]
        self.assertEqual([line[1] for line in said], ["1", "1"])
        self.assertEqual(said[0][2], said[1][2])
        memory = pathlib.Path(f"/proc/{self.agent.pid}/status").read_text()
        self.assertLess(int(re.search(r"RssAnon:\s+(\d+) kB", memory)[1]), 5000 * MEMORY_FACTOR)
        for engine in engines:
            engine.stdin.close()
            self.assertEqual(engine.wait(timeout=DEADLINE_S), 0)
        self.group.wait_until("the agent lets both go", lambda: self.event_count("agent_stopped") == 2)
        self.assertEqual(self.tokens_when_all_is_stopped(), sum(int(line[0]) for line in said))

    def test_a_segment_that_is_no_probe_is_told_of_once_until_a_worker_replaces_it(self):
        segment = self.segment(self.probes[0])
        segment.write_bytes(bytes(100_000))
        self.addCleanup(segment.unlink, missing_ok=True)
        refused = self.group.wait_for_event(0, "probe_refused")
        self.assertEqual(refused["worker"], self.probes[0])
        self.assertIn("not of this version", refused["reason"])
        # A segment is looked for every second.
        time.sleep(3)
        self.assertEqual(self.event_count("probe_refused"), 1)
        segment.write_bytes(b"")
        engine = self.engine(0, steps=200)
        tokens = int(engine.stdout.readline().split()[0])
        self.group.wait_until("the agent has found it", lambda: self.event_count("agent_started") == 1)
        engine.stdin.close()
        self.assertEqual(engine.wait(timeout=DEADLINE_S), 0)
        self.group.wait_until("it is reported", lambda: self.event_count("agent_stopped") == 1)
        self.assertEqual(self.tokens_when_all_is_stopped(), tokens)

    def test_an_engine_that_is_killed_and_started_again_is_counted_in_both_its_lives(self):
        engine, tokens = self.engine(0, steps=200), 0
        for life in range(2):
            tokens += int(engine.stdout.readline().split()[0])
            self.group.wait_until("the agent has found it", lambda: self.event_count("agent_started") == life + 1)
            engine.kill()
            engine.wait()
            self.group.wait_until("it is reported", lambda: self.event_count("agent_stopped") == life + 1)
            self.assertFalse(self.segment(self.probes[0]).exists(), "what a dead worker leaves is removed")
            if life == 0:
                engine = self.engine(0, steps=300)
        self.assertEqual(self.event_count("worker_lost"), 2)
        self.assertEqual(self.tokens_when_all_is_stopped(), tokens)

    def test_an_engine_that_ended_before_the_rebalancer_was_killed_stays_counted(self):
        tokens = 0
        for life in range(3):
            engine = self.engine(life % 2, steps=100)
            tokens += int(engine.stdout.readline().split()[0])
            self.group.wait_until("the agent has found it", lambda: self.event_count("agent_started") == life + 1)
            engine.kill()
            engine.wait()
            if life < 2:
                self.group.wait_until("it is reported", lambda: self.event_count("agent_stopped") == life + 1)
            # The third ends while nobody is there to hear of it, for longer than an agent may take to say it.
            self.rebalancer.kill()
            self.rebalancer.wait()
            time.sleep(4 if life == 2 else 0)
            self.rebalancer = self.start_rebalancer()
        self.group.wait_until("it is reported", lambda: self.event_count("agent_stopped") == 3)
        self.assertEqual(self.tokens_when_all_is_stopped(), tokens)

    def test_an_engine_that_is_started_again_while_the_rebalancer_is_down_is_counted_in_both_its_lives(self):
        engine = self.engine(0, steps=200)
        tokens = int(engine.stdout.readline().split()[0])
        self.group.wait_until("the agent has found it", lambda: self.event_count("contact_made") == 1)
        self.rebalancer.kill()
        self.rebalancer.wait()
        engine.kill()
        engine.wait()
        engine = self.engine(0, steps=300)
        tokens += int(engine.stdout.readline().split()[0])
        # Longer than the agent notices that nobody answers, and than it waits where somebody does.
        time.sleep(7)
        self.assertEqual(self.event_count("agent_stopped"), 0)
        self.rebalancer = self.start_rebalancer()
        self.group.wait_until("the first life is reported", lambda: self.event_count("agent_stopped") == 1)
        self.group.wait_until("the agent has found it again", lambda: self.event_count("agent_started") == 2)
        engine.kill()
        engine.wait()
        self.group.wait_until("the second life is reported", lambda: self.event_count("agent_stopped") == 2)
        self.assertEqual(self.event_count("worker_given_up"), 0)
        ends = [event for event in events(self.group.log(0)) if event["event"] == "agent_stopped"]
        self.assertEqual([end["sends_dropped"] for end in ends], [0, 0], "to who is away nothing can be sent")
        self.assertEqual(self.tokens_when_all_is_stopped(), tokens)

    def engine_that_outlives_its_agent(self):
        """With the tokens it has counted, most of them while no agent was there."""
        engine = self.engine(0, steps=3000)
        self.group.wait_until("contact", lambda: self.event_count("contact_made") == 1)
        self.agent.kill()
        self.agent.wait()
        return engine, int(engine.stdout.readline().split()[0])

    def assert_the_next_agent_reports(self, tokens):
        self.assertTrue(self.segment(self.probes[0]).exists())
        self.agent = self.start_agent(self.probes)
        self.group.wait_until("it is reported", lambda: self.event_count("agent_stopped") == 1)
        self.assertFalse(self.segment(self.probes[0]).exists())
        self.assertEqual(self.tokens_when_all_is_stopped(), tokens)

    def test_an_engine_that_is_killed_while_its_agent_is_away_is_counted_by_the_next(self):
        engine, tokens = self.engine_that_outlives_its_agent()
        engine.kill()
        engine.wait()
        self.assert_the_next_agent_reports(tokens)

    def test_an_engine_that_ends_while_its_agent_is_away_is_counted_by_the_next(self):
        engine, tokens = self.engine_that_outlives_its_agent()
        engine.stdin.close()
        self.assertEqual(engine.wait(timeout=DEADLINE_S), 0)
        self.assert_the_next_agent_reports(tokens)

    def test_a_fenced_worker_ends_alone_until_it_is_started_anew(self):
        engines = [self.engine(rank, steps=200) for rank in range(2)]
        tokens = sum(int(engine.stdout.readline().split()[0]) for engine in engines)
        self.group.wait_until("they are reported", lambda: self.tokens_reported() == tokens)
        # As a second host would that gives its worker the same name.
        elsewhere = self.group.probe("elsewhere")
        self.start_agent([elsewhere], log=1)
        namesake = self.engine(0, steps=300, probe=elsewhere)
        tokens += int(namesake.stdout.readline().split()[0])
        fenced = self.group.wait_for_event(0, "worker_fenced")
        self.assertEqual(fenced["worker"], "worker-0")
        self.group.wait_until("its session ends", lambda: self.event_count("agent_stopped") == 1)
        namesake.kill()
        namesake.wait()
        self.group.wait_for_event(1, "agent_stopped")
        engines[0].kill()
        engines[0].wait()
        engines[0] = self.engine(0, steps=400)
        tokens += int(engines[0].stdout.readline().split()[0])
        self.group.wait_until("its next life is found", lambda: self.event_count("agent_started") == 3)
        self.assertEqual(self.event_count("worker_fenced"), 1)
        for engine in engines:
            engine.stdin.close()
            self.assertEqual(engine.wait(timeout=DEADLINE_S), 0)
        self.group.wait_until("the agent lets both go", lambda: self.event_count("agent_stopped") == 3)
        self.assertEqual(self.tokens_when_all_is_stopped(), tokens)

    def test_a_probe_that_is_not_there_yet_is_told_of_once(self):
        self.group.wait_until("both are awaited", lambda: self.event_count("probe_awaited") == 2)
        # Probes are looked for every second.
        time.sleep(2.5)
        awaited = [event["worker"] for event in events(self.group.log(0)) if event["event"] == "probe_awaited"]
        self.assertEqual(awaited, self.probes)

    def test_a_worker_that_is_refused_for_three_seconds_gives_way_to_its_successor(self):
        engine = self.engine(0, steps=200)
        for contacts in (1, 2):
            self.group.wait_until("contact", lambda: self.event_count("contact_made") == contacts)
            self.rebalancer.kill()
            self.rebalancer.wait()
            if contacts == 1:
                self.rebalancer = self.start_rebalancer()
        engine.stdout.readline()
        engine.kill()
        engine.wait()
        self.engine(0, steps=300)
        # Its first term: it refuses who has seen the second of another.
        self.rebalancer = self.start_rebalancer(state=self.group.folder / "other")
        self.group.wait_until("the first life is given up", lambda: self.event_count("worker_given_up") == 1)
        self.group.wait_until("the second is found", lambda: self.event_count("agent_started") == 2)


class ManyModelsTest(Attached):
    MODELS = ("prefill", "decode")

    def setUp(self):
        super().setUp()
        self.group.end(self.agent)
        self.names = {(model, rank): f"{self.group.probe(rank)}-{model}" for model in self.MODELS for rank in range(2)}
        self.agent = self.start_agent(self.names.values())

    def test_one_agent_has_both_models_migrated_and_counted_exactly(self):
        engines = {key: self.engine(key[1], 3000, key[0], probe) for key, probe in self.names.items()}
        said = {key: engine.stdout.readline().split() for key, engine in engines.items()}
        self.assertEqual({line[1] for line in said.values()}, {"1"})
        for model in self.MODELS:
            self.assertEqual(said[model, 0][2], said[model, 1][2])
        for engine in engines.values():
            engine.stdin.close()
            self.assertEqual(engine.wait(timeout=DEADLINE_S), 0)
        self.group.wait_until("the agent lets all go", lambda: self.event_count("agent_stopped") == 4)
        tokens = {model: sum(int(said[model, rank][0]) for rank in range(2)) for model in self.MODELS}
        self.assertEqual(self.totals_when_all_is_stopped(), tokens)
        ends = [event for event in events(self.group.log(0)) if event["event"] == "agent_stopped"]
        self.assertEqual([end["broadcast_gaps"] for end in ends], [0] * 4, "the other model's broadcasts are not missed")


class AgentCommandLineTest(unittest.TestCase):
    def setUp(self):
        self.group = Group(self)

    def assert_refused(self, *words, **settings):
        command = [str(BIN / "evenkeel-agent"), *map(str, flags(settings))]
        result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_an_endpoint_that_is_none_is_refused_in_every_mode(self):
        for mode in ({"attach": "all"}, {"recordings": self.group.folder}, {"replay": TRACE}):
            self.assert_refused("--rebalancer is 'localhost:5591'", "give tcp://", rebalancer="localhost:5591", **mode)
            self.assert_refused("--subscribe is 'tcp://localhost'", "give tcp://", subscribe="tcp://localhost", **mode)

    def test_all_probes_and_some_is_refused(self):
        self.assert_refused("--attach is all,some", "give all alone", attach="all,some")

    def test_an_observer_that_is_fenced_ends_with_a_failure(self):
        self.group.rebalancer(gpus=2, nodes=1)
        agents = []
        for number in (0, 1):
            folder = self.group.folder / f"recordings-{number}"
            folder.mkdir()
            (folder / "counts.json").write_text(json.dumps({"logical_count": [[1, 2], [2, 1]]}))
            agents.append(self.group.start("evenkeel-agent", *flags({
                "recordings": folder, "experts": 2, "rebalancer": self.group.bind, "report_interval_ms": 50,
                "log_json": self.group.log(number)})))
            self.group.wait_for_event(number, "contact_made")
        self.assertEqual(agents[0].wait(timeout=DEADLINE_S), 1)
        self.group.wait_for_event(0, "worker_fenced")
        self.assertIsNone(agents[1].poll())


class CheckerTest(unittest.TestCase):
    """The checker finds what it is there to find."""

    def check(self, *ranks):
        group = Group(self)
        paths = []
        for rank, spans in enumerate(ranks):
            paths.append(group.folder / f"{rank}.jsonl")
            lines = [{"step_begin": begin, "step_end": begin + 10, "epoch": epoch, "digest": digest} for begin, epoch, digest in spans]
            paths[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
        return check_maps.check(paths)

    def test_passes_ranks_that_switch_together(self):
        spans = [(0, None, None), (10, 0, "a"), (20, 1, "b")]
        self.assertEqual(self.check(spans, spans), [(0, -1, None), (10, 0, "a"), (20, 1, "b")])

    def test_finds_a_step_with_two_maps(self):
        with self.assertRaisesRegex(check_maps.TwoMaps, "step 10 ran with epoch 1"):
            self.check([(0, 0, "a"), (10, 1, "b")], [(0, 0, "a"), (10, 0, "a")])

    def test_finds_one_epoch_with_two_maps_a_way_back_and_a_step_run_twice(self):
        with self.assertRaisesRegex(check_maps.TwoMaps, "two maps"):
            self.check([(0, 0, "a")], [(10, 0, "b")])
        with self.assertRaisesRegex(check_maps.TwoMaps, "after 1"):
            self.check([(0, 1, "a"), (10, 0, "b")])
        with self.assertRaisesRegex(check_maps.TwoMaps, "ran twice"):
            self.check([(0, 0, "a"), (5, 0, "a")])
        with self.assertRaisesRegex(check_maps.TwoMaps, "overlap"):
            self.check([(0, 0, "a")], [(5, 0, "a")])


if __name__ == "__main__":
    unittest.main()
