"""kill -9 of the rebalancer at each step of a migration of several epochs, then a restart: one epoch everywhere, and no step
with two maps.

Usage: kill_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import re
import unittest

import check_maps
from live_test import Group, events

# Two spare buffers a GPU: a quarter of 512 slots takes some ten epochs.
SETTINGS = {"spare": 2, "max_migrations": 100, "min_interval_ms": 0, "solve_seconds": 0.2}


class KillTest(unittest.TestCase):
    def setUp(self):
        self.group = Group(self)

    def rebalancer_events(self):
        """(event, epoch or None) of every whole line of the rebalancer's log."""
        log = self.group.folder / "evenkeel-rebalancer.log"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        found = [re.search(r"event=(\w+)(?:.*? epoch=(\d+))?", line) for line in lines if line.endswith("\n")]
        return [(line[1], int(line[2]) if line[2] else None) for line in found if line]

    def map_log(self, rank):
        return self.group.folder / f"map-{rank}.jsonl"

    def last_epoch(self, rank):
        epoch = check_maps.read(self.map_log(rank))[-1]["epoch"]
        return -1 if epoch is None else epoch

    def kill_at(self, is_time):
        rebalancer = self.group.rebalancer(**SETTINGS)
        agents = [
            self.group.agent(rank, load_ms=50, rendezvous=self.group.folder.name, map_log=self.map_log(rank), decision_wait_ms=100)
            for rank in (0, 1)]
        self.group.wait_until("the step to kill at", lambda: any(is_time(*event) for event in self.rebalancer_events()))
        rebalancer.kill()
        rebalancer.wait()
        before = self.group.records()
        committed = max(epoch for kind, epoch in before if kind == "COMMIT")
        rebalancer = self.group.rebalancer(**SETTINGS)
        self.group.wait_for_common_epoch(committed + 1)
        # A window's steps are logged when it begins.
        self.group.wait_until("steps with it", lambda: all(self.last_epoch(rank) > committed for rank in (0, 1)))
        rebalancer.kill()
        rebalancer.wait()
        for agent in agents:
            self.group.end(agent)
        self.check(before)
        changes = check_maps.check([self.map_log(rank) for rank in (0, 1)])
        self.assertGreater(len(changes), 1, "no migration: the checker had nothing to find")

    def check(self, before):
        records = self.group.records()
        self.assertEqual(records[:len(before)], before)
        commits = {epoch for kind, epoch in records if kind == "COMMIT"}
        aborts = {epoch for kind, epoch in records if kind == "ABORT"}
        self.assertFalse(commits & aborts)
        in_doubt = {epoch for kind, epoch in before if kind == "PREPARE"} - commits
        self.assertLessEqual(in_doubt, aborts, "what was prepared and not committed is given up")
        maps = {}
        for rank in (0, 1):
            applied = [(e["epoch"], e["digest"]) for e in events(self.group.log(rank)) if e["event"] == "epoch_applied"]
            self.assertEqual(applied, sorted(applied), "no agent goes back")
            for epoch, digest in applied:
                self.assertIn(epoch, commits, "nobody runs what was not committed")
                self.assertEqual(maps.setdefault(epoch, digest), digest, "an epoch is one map")

    def test_while_it_plans(self):
        self.kill_at(lambda event, _: event == "plan_started")

    def test_when_it_has_decided(self):
        self.kill_at(lambda event, _: event == "plan_decided")

    def test_when_the_first_epoch_is_prepared(self):
        self.kill_at(lambda event, epoch: event == "epoch_prepared")

    def test_when_the_first_epoch_is_committed(self):
        self.kill_at(lambda event, epoch: event == "epoch_committed" and epoch == 1)

    def test_when_the_first_epoch_is_retired_and_the_next_is_prepared(self):
        self.kill_at(lambda event, epoch: event == "epoch_prepared" and epoch == 2)

    def test_in_the_middle_of_the_chain(self):
        self.kill_at(lambda event, epoch: event == "epoch_retired" and epoch == 3)

    def test_when_the_chain_is_done(self):
        self.kill_at(lambda event, _: event == "migration_finished")


if __name__ == "__main__":
    unittest.main()
