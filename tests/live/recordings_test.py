"""An agent beside a folder of an engine's recordings: each finished file counts once, whatever is killed.

Usage: recordings_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import json
import re
import shutil
import signal
import unittest

import numpy as np

from live_test import DEADLINE_S, TRACE, events, flags
from operate_test import Operated

EXPERTS = 64


class RecordingsTest(unittest.TestCase):
    def setUp(self):
        self.group = Operated(self)
        self.recordings = self.group.folder / "recordings"
        self.recordings.mkdir()
        ids = np.load(TRACE)["ids"]
        self.layers, self.tokens = ids.shape[1], ids.shape[0]

    def agent(self, **settings):
        given = {"recordings": self.recordings, "experts": EXPERTS, "rebalancer": self.group.bind, "report_interval_ms": 50,
                 "log_json": self.group.log(0)}
        return self.group.start("evenkeel-agent", *flags({**given, **settings}))

    def sglang_counts(self, name, count):
        counts = np.full((self.layers, EXPERTS), count).tolist()
        (self.recordings / name).write_text(json.dumps({"logical_count": counts}))
        return count * EXPERTS

    def said(self, event):
        return [entry for entry in events(self.group.log(0)) if entry["event"] == event]

    def wait_for(self, event, number):
        self.group.wait_until(f"{number} {event}", lambda: len(self.said(event)) >= number)

    def counted(self, rebalancer):
        """Tokens of the model, once the rebalancer has been asked to stop."""
        rebalancer.send_signal(signal.SIGTERM)
        self.assertEqual(rebalancer.wait(timeout=DEADLINE_S), 0)
        log = (self.group.folder / "evenkeel-rebalancer.log").read_text()
        return int(re.findall(r"event=totals_counted tokens=(\d+) ", log)[-1])

    def test_files_are_counted_once_over_restarts_of_agent_and_rebalancer(self):
        rebalancer = self.group.rebalancer()
        agent = self.agent()
        shutil.copy(TRACE, self.recordings)
        tokens = self.tokens + self.sglang_counts("first.json", 5)
        self.wait_for("recording_counted", 2)
        agent.kill()
        agent.wait()
        rebalancer.kill()
        rebalancer.wait()
        (self.recordings / "first.json").rename(self.recordings / "renamed.json")
        tokens += self.sglang_counts("second.json", 7)
        rebalancer = self.group.rebalancer()
        agent = self.agent()
        self.wait_for("recording_counted", 3)
        self.wait_for_totals(tokens)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=DEADLINE_S), 0)
        self.assertEqual(len(self.said("recording_counted")), 3)
        self.assertEqual(self.counted(rebalancer), tokens)

    def wait_for_totals(self, tokens):
        def total():
            result = self.group.start("evenkeel", "status", "--endpoint", self.group.folder / "state", "--json")
            models = json.loads(result.communicate(timeout=DEADLINE_S)[0] or "{}").get("models", [])
            return models and models[0]["tokens"] >= tokens

        self.group.wait_until(f"{tokens} tokens", total)

    def test_bad_and_changed_files_are_told_of_once_and_change_nothing(self):
        rebalancer = self.group.rebalancer()
        agent = self.agent()
        tokens = self.sglang_counts("good.json", 3)
        (self.recordings / "bad.json").write_text('{"logical_count": [[1, -1]]}')
        (self.recordings / "other.json").write_text('{"logical_count": [[1, 1]]}')
        self.wait_for("recording_counted", 1)
        self.wait_for("recording_refused", 2)
        self.sglang_counts("good.json", 4)
        self.wait_for("recording_refused", 3)
        self.wait_for_totals(tokens)
        lost = 'evenkeel_agent_losses_total{loss="recordings_refused"}'
        self.group.wait_until("metric", lambda: self.group.metrics().get(lost) == 3)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=DEADLINE_S), 0)
        reasons = sorted(entry["reason"] for entry in self.said("recording_refused"))
        self.assertEqual(len(reasons), 3)
        for reason, name in zip(reasons, ("bad.json", "good.json", "other.json")):
            self.assertIn(name, reason)
        self.assertEqual(self.said("agent_stopped")[0]["recordings_refused"], 3)
        self.assertEqual(self.counted(rebalancer), tokens)

    def test_workers_migrate_without_waiting_for_it(self):
        self.group.rebalancer()
        self.agent(log_json=self.group.folder / "observer.jsonl")
        self.sglang_counts("first.json", 1)
        accepted = 'evenkeel_reports_total{result="accepted"}'
        self.group.wait_until("an observer's report", lambda: self.group.metrics().get(accepted, 0) > 0)
        for rank in (0, 1):
            self.group.agent(rank)
        self.group.wait_for_common_epoch(1)

    def test_a_state_that_is_none_names_the_file_and_the_remedy(self):
        state = self.group.folder / "state.json"
        state.write_text("{")
        agent = self.agent(recordings_state=state)
        self.assertEqual(agent.wait(timeout=DEADLINE_S), 2)
        log = (self.group.folder / "evenkeel-agent.log").read_text()
        self.assertIn(str(state), log)
        self.assertIn("give another file", log)


if __name__ == "__main__":
    unittest.main()
