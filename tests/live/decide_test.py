"""What a rebalancer decides, with real processes: a stored profile, two models, a solver that fails.

Usage: decide_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import contextlib
import sqlite3
import subprocess
import unittest

from live_test import BIN, DEADLINE_S, TRACE, Group, flags


class DecideTest(unittest.TestCase):
    def setUp(self):
        self.group = Group(self)

    def log(self):
        return (self.group.folder / "evenkeel-rebalancer.log").read_text()

    def wait_for_line(self, *words):
        def found():
            return any(all(word in line for word in words) for line in self.log().splitlines())

        self.group.wait_until(f"a line with {words}", found)

    def journal(self, query):
        with contextlib.closing(sqlite3.connect(self.group.folder / "state" / "journal.sqlite")) as journal:
            return journal.execute(query).fetchall()

    def test_a_stored_profile_gives_the_first_placement(self):
        profile = self.group.folder / "day.profile.npz"
        subprocess.run([BIN / "evenkeel", "profile", TRACE, "-o", profile], check=True, capture_output=True)
        self.group.rebalancer(profile=profile, max_migrations=0)
        self.wait_for_line("event=profile_placed", "0,1,2,3,4,5,6,7")
        for rank in (0, 1):
            self.group.agent(rank)
        self.group.wait_for_common_epoch(0)
        self.wait_for_line("event=epoch_committed", 'placement="from a profile"', "epoch=0")

    def test_a_profile_that_cannot_be_read_is_refused(self):
        rebalancer = self.group.rebalancer(profile="/nonexistent.npz")
        self.assertEqual(rebalancer.wait(timeout=DEADLINE_S), 2)
        self.assertIn("/nonexistent.npz", self.log())

    def test_two_models_migrate_beside_each_other(self):
        self.group.rebalancer(agents=1, min_gain=0)
        for model in ("prefill-pool", "decode-pool"):
            settings = {
                "replay": TRACE, "world": 1, "model": model, "name": self.group.folder.name, "report_interval_ms": 100,
                "rebalancer": self.group.bind, "subscribe": self.group.publish}
            self.group.start("evenkeel-agent", *flags(settings))
        for model in ("prefill-pool", "decode-pool"):
            self.wait_for_line("event=migration_finished", f"model={model}")

    def test_a_solver_that_exceeds_its_memory_means_keep(self):
        rebalancer = self.group.rebalancer(solve_memory_mb=1)
        agents = [self.group.agent(rank) for rank in (0, 1)]
        self.wait_for_line("event=plan_decided", "verdict=keep", "the solver")
        self.assertIsNone(rebalancer.poll())
        self.assertEqual([self.group.applied(rank)[0] for rank in (0, 1)], [0, 0])
        for process in (rebalancer, *agents):
            self.group.end(process)
        reasons = self.journal("SELECT reason FROM decision WHERE verdict = 'keep' AND reason LIKE 'the solver%'")
        self.assertTrue(reasons)


if __name__ == "__main__":
    unittest.main()
