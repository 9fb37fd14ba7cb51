"""Operates real processes: status, freeze, trigger, dry run, reload, health and metrics, keys, backup.

Usage: operate_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import unittest
import unittest.mock
import urllib.error
import urllib.request

from live_test import BIN, DEADLINE_S, ROOT, TRACE, Group, flags, free_endpoint

PROMTOOL = shutil.which("promtool")


def figures(page):
    """{'evenkeel_reports_total{result="accepted"}': 5.0} of a page in Prometheus' format."""
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


class Operated(Group):
    """A group with HTTP, keys where wanted, and a settings file that can be written again."""

    def __init__(self, test):
        super().__init__(test)
        self.http = free_endpoint().removeprefix("tcp://")
        self.settings = self.folder / "rebalancer.yaml"
        self.settings.write_text("")

    def rebalancer(self, **settings):
        # Decisions are made when the test asks for one.
        defaults = {"http": self.http, "config": self.settings, "max_migrations": 100}
        return super().rebalancer(**{**defaults, **settings})

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None, ""

    def metrics(self):
        """Figures of the page, once the service has time to answer."""

        def page():
            status, text = self.get("/metrics")
            return text if status == 200 else None

        return figures(self.wait_until("metrics", page))

    def present(self):
        """Agents of the one model that were heard from of late."""
        return self.metrics().get('evenkeel_agents{model="default",state="present"}', 0)

    def tokens(self):
        return self.metrics().get('evenkeel_tokens_total{model="default"}', 0)

    def evenkeel(self, *arguments):
        command = [str(BIN / "evenkeel"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)

    def command(self, *arguments):
        """The status that a command answers with."""
        result = self.evenkeel(*arguments, "--endpoint", self.folder / "state", "--json")
        self.test.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def keygen(self, name):
        subprocess.run([BIN / "evenkeel-rebalancer", "keygen", "-o", self.folder / "keys", "--name", name], check=True, stdout=subprocess.PIPE)
        return self.folder / "keys" / f"{name}.secret"

    def log_of(self, program):
        return (self.folder / f"{program}.log").read_text()


class OperateTest(unittest.TestCase):
    def setUp(self):
        self.group = Operated(self)

    def running_pair(self, **settings):
        rebalancer = self.group.rebalancer(**settings)
        for rank in (0, 1):
            self.group.agent(rank)
        self.group.wait_until("metrics", lambda: self.group.present() == 2)
        return rebalancer

    def test_freeze_holds_over_a_restart_and_unfreeze_lets_go(self):
        rebalancer = self.running_pair(min_tokens=1_000_000_000)
        frozen = self.group.command("freeze", "--reason", "a release")
        self.assertEqual((frozen["is_frozen"], frozen["frozen_reason"]), (True, "a release"))
        refused = self.group.evenkeel("trigger", "--endpoint", self.group.folder / "state")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("unfreeze", refused.stderr)
        rebalancer.kill()
        rebalancer.wait()

        self.group.rebalancer(min_tokens=1000, min_interval_ms=100)
        self.group.wait_until("reports", lambda: self.group.tokens() > 5000)
        status = self.group.command("status")
        self.assertEqual((status["is_frozen"], status["frozen_reason"]), (True, "a release"))
        self.assertEqual(self.group.metrics()['evenkeel_decisions_total{verdict="adopt"}'], 0)
        self.assertFalse(self.group.command("unfreeze")["is_frozen"])
        self.group.wait_for_common_epoch(1)

    def test_a_trigger_plans_at_once_and_a_dry_run_migrates_nothing(self):
        self.running_pair(min_tokens=1_000_000_000)
        self.assertTrue(self.group.command("dry-run", "on")["is_dry_run"])
        self.group.wait_until("reports", lambda: self.group.tokens() > 5000)
        decided = self.triggered("dry run")
        self.assertEqual((decided["last_decision"]["verdict"], decided["epoch"]), ("keep", 0))
        self.assertEqual(self.group.metrics()["evenkeel_dry_run"], 1)

        self.assertFalse(self.group.command("dry-run", "off")["is_dry_run"])
        self.triggered("", verdict="adopt")
        self.group.wait_for_common_epoch(1)

    def triggered(self, reason, verdict="keep"):
        """The model's status once a decision is as asked for: another may have been under way."""
        def decided():
            model = self.group.command("trigger", "--wait", "10s")["models"][0]
            decision = model["last_decision"]
            return model if decision["verdict"] == verdict and reason in decision["reason"] else None

        return self.group.wait_until(f"{verdict}, {reason}", decided)

    def test_the_status_is_a_table_and_says_where_nobody_answers(self):
        self.running_pair(min_tokens=1_000_000_000)
        table = self.group.evenkeel("status", "--endpoint", self.group.folder / "state")
        self.assertEqual(table.returncode, 0, table.stderr)
        for word in ("phase", "worker-0", "worker-1", "2 of 2"):
            self.assertIn(word, table.stdout)
        nobody = self.group.evenkeel("status", "--endpoint", free_endpoint(), "--timeout", "200ms")
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("no answer within 0.2 s", nobody.stderr)

    def test_health_and_metrics_are_served(self):
        rebalancer = self.running_pair(min_tokens=1_000_000_000)
        self.assertEqual(self.group.get("/healthz"), (200, "ok\n"))
        self.assertEqual(self.group.get("/readyz"), (200, "ready\n"))
        self.assertEqual(json.loads(self.group.get("/status")[1])["schema"], "evenkeel.status/1")
        self.assertEqual(self.group.get("/nothing")[0], 404)
        page = self.group.get("/metrics")[1]
        self.assertIn('evenkeel_events_total{event="agent_joined"} 2', page)
        if PROMTOOL:
            checked = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        rebalancer.send_signal(signal.SIGTERM)
        self.assertEqual(rebalancer.wait(timeout=DEADLINE_S), 0)

    def test_every_metric_is_documented(self):
        self.running_pair(min_tokens=1_000_000_000)
        self.group.command("status")
        names = set(re.findall(r"^# TYPE (\S+)", self.group.get("/metrics")[1], re.MULTILINE))
        self.assertGreater(len(names), 25)
        reference = (ROOT / "docs" / "reference" / "rebalancer.md").read_text()
        self.assertEqual([name for name in sorted(names) if f"`{name}`" not in reference], [])

    def test_a_reload_takes_what_it_can_and_keeps_the_old_where_the_file_is_bad(self):
        settings = self.group.settings
        settings.write_text("min_tokens: 1000000000\nlog_level: warning\n")
        defaults = {"bind": self.group.bind, "publish": self.group.publish, "state": self.group.folder / "state", "gpus": 8,
                    "agents": 2, "min_interval_ms": 100, "solve_seconds": 0.3, "warmup_windows": 0, "spare": 64, "http": self.group.http, "config": settings}
        rebalancer = self.group.start("evenkeel-rebalancer", *(part for name, value in defaults.items()
                                                               for part in ("--" + name.replace("_", "-"), value)))
        for rank in (0, 1):
            self.group.agent(rank)
        reloads = 'evenkeel_reloads_total{result="%s"}'
        self.group.wait_until("tokens", lambda: self.group.tokens() > 5000)

        settings.write_text("min_tokns: 5\n")
        rebalancer.send_signal(signal.SIGHUP)
        self.group.wait_until("a refused file", lambda: self.group.metrics().get(reloads % "failed") == 1)
        self.assertIn("min_tokens", self.group.log_of("evenkeel-rebalancer"))
        self.assertEqual(self.group.metrics()['evenkeel_decisions_total{verdict="adopt"}'], 0)

        settings.write_text("min_tokens: 1000\nredundant: 8\nlog_level: info\n")
        rebalancer.send_signal(signal.SIGHUP)
        self.group.wait_until("a taken file", lambda: self.group.metrics().get(reloads % "done") == 1)
        self.assertIn("event=setting_needs_restart setting=redundant", self.group.log_of("evenkeel-rebalancer"))
        self.group.wait_for_common_epoch(1)
        self.assertIn("event=plan_decided", self.group.log_of("evenkeel-rebalancer"))

    def test_an_agent_takes_its_level_and_intervals_while_it_runs(self):
        self.group.rebalancer(min_tokens=1_000_000_000)
        settings = self.group.folder / "agent.yaml"
        settings.write_text("report_interval_ms: 60000\n")
        agent = self.group.start("evenkeel-agent", *flags({
            "config": settings, "replay": TRACE, "rank": 0, "world": 2, "rebalancer": self.group.bind, "tokens_per_second": 200,
            "subscribe": self.group.publish, "probe": self.group.probe(0), "orphan_timeout_ms": 3000}))

        def log():
            return self.group.log_of("evenkeel-agent")

        def accepted():
            return self.group.metrics().get('evenkeel_reports_total{result="accepted"}', 0)

        self.group.wait_until("a report", lambda: accepted() >= 1)
        settings.write_text("report_interval_ms: soon\n")
        agent.send_signal(signal.SIGHUP)
        self.group.wait_until("a refused file", lambda: "event=reload_failed" in log())
        before = accepted()
        settings.write_text("report_interval_ms: 20\nlog_format: json\n")
        agent.send_signal(signal.SIGHUP)
        self.group.wait_until("many reports", lambda: accepted() >= before + 20)
        self.assertIn("event=setting_needs_restart worker=- setting=log_format", log())
        settings.write_text("report_interval_ms: 20\nlog_level: warning\n")
        agent.send_signal(signal.SIGHUP)
        self.group.wait_until("silence", lambda: log().count("event=settings_reloaded") == 1)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(timeout=DEADLINE_S), 0)
        self.assertNotIn("event=agent_stopped", log())

    def test_a_stop_gives_up_what_is_prepared_and_tells_the_agents(self):
        rebalancer = self.group.rebalancer()
        for rank in (0, 1):
            self.group.agent(rank, load_ms=10_000)
        for rank in (0, 1):
            self.group.wait_for_event(rank, "epoch_prepared")
        rebalancer.send_signal(signal.SIGTERM)
        self.assertEqual(rebalancer.wait(timeout=DEADLINE_S), 0)
        self.assertEqual(self.group.records()[-1], ("ABORT", 1))
        for rank in (0, 1):
            self.group.wait_for_event(rank, "epoch_discarded")

    def test_the_log_is_a_json_object_a_line_where_wanted(self):
        rebalancer = self.running_pair(log_format="json", min_tokens=1_000_000_000)
        rebalancer.send_signal(signal.SIGTERM)
        rebalancer.wait(timeout=DEADLINE_S)
        lines = [json.loads(line) for line in self.group.log_of("evenkeel-rebalancer").splitlines()]
        levels = {line["event"]: line["level"] for line in lines}
        self.assertEqual((levels["agent_joined"], levels["peers_unauthenticated"]), ("info", "warning"))
        self.assertTrue(all(line["program"] == "evenkeel-rebalancer" and line["time"].endswith("Z") for line in lines))

    def test_the_examples_are_read(self):
        rebalancer = self.group.rebalancer(config=ROOT / "configs" / "rebalancer.yaml", curve_secret=self.group.keygen("rebalancer"),
                                           authorized_keys=self.group.folder / "keys")
        self.group.wait_until("health", lambda: self.group.get("/healthz")[0] == 200)
        rebalancer.kill()
        agent = subprocess.run([BIN / "evenkeel-agent", "--config", ROOT / "configs" / "agent.yaml", "--rank", "9"],
                               capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(agent.returncode, 2, agent.stderr)
        self.assertIn("--rank is 9", agent.stderr)


class KeysTest(unittest.TestCase):
    def setUp(self):
        self.group = Operated(self)
        for name in ("rebalancer", "worker-0", "worker-1", "alice"):
            self.group.keygen(name)
        self.keys = self.group.folder / "keys"
        self.authorised = self.group.folder / "authorised"
        self.authorise(("worker-0", ""), ("worker-1", ""), ("alice", "operator"))

    def authorise(self, *lines):
        text = "".join(f"{self.public(name)} {name} {options}\n" for name, options in lines)
        self.authorised.write_text("# who may connect\n" + text)

    def public(self, name):
        return (self.keys / f"{name}.pub").read_text().split()[0]

    def rebalancer(self, **settings):
        return self.group.rebalancer(curve_secret=self.keys / "rebalancer.secret", authorized_keys=self.authorised, **settings)

    def agent(self, rank, key=None, **settings):
        secret = self.keys / f"{key or f'worker-{rank}'}.secret"
        return self.group.agent(rank, curve_secret=secret, server_key=self.keys / "rebalancer.pub", **settings)

    def test_a_secret_is_for_its_owner_alone_and_never_overwritten(self):
        secret = self.keys / "rebalancer.secret"
        self.assertEqual(stat.S_IMODE(secret.stat().st_mode), 0o600)
        again = subprocess.run([BIN / "evenkeel-rebalancer", "keygen", "-o", self.keys], capture_output=True, text=True)
        self.assertEqual(again.returncode, 1)
        self.assertIn("never overwritten", again.stderr)
        secret.chmod(0o644)
        self.assertEqual(self.rebalancer().wait(timeout=DEADLINE_S), 2)
        self.assertIn("chmod 600", self.group.log_of("evenkeel-rebalancer"))

    def test_agents_with_keys_migrate(self):
        self.rebalancer(max_migrations=1)
        for rank in (0, 1):
            self.agent(rank)
        self.group.wait_for_common_epoch(1)
        self.assertEqual(self.group.metrics()['evenkeel_authorisations_total{result="refused"}'], 0)

    def test_a_key_speaks_for_no_other_worker(self):
        self.rebalancer()
        self.agent(0, key="worker-1")
        dropped = 'evenkeel_messages_dropped_total{reason="unauthorised"}'
        self.group.wait_until("a drop", lambda: self.group.metrics().get(dropped, 0) > 0)
        self.assertEqual(self.group.command("status")["models"], [])
        self.assertIn("worker=worker-0", self.group.log_of("evenkeel-rebalancer"))

    def test_a_reload_takes_a_key_its_rights(self):
        rebalancer = self.rebalancer(min_tokens=1_000_000_000)
        for rank in (0, 1):
            self.agent(rank)
        self.group.wait_until("both", lambda: self.group.present() == 2)
        self.authorise(("worker-0", ""))
        rebalancer.send_signal(signal.SIGHUP)
        refused = 'evenkeel_connections_refused_total{reason="%s"}'
        self.group.wait_until("its end", lambda: self.group.metrics().get(refused % "unauthorised", 0) > 0)
        self.group.wait_until("no way back", lambda: self.group.metrics().get(refused % "key", 0) > 0)
        self.group.wait_until("absence", lambda: self.group.present() == 1)

    def test_commands_over_tcp_are_an_operators(self):
        endpoint = free_endpoint()
        self.rebalancer(control=endpoint)
        asked = ["freeze", "--endpoint", endpoint, "--server-key", self.keys / "rebalancer.pub", "--curve-secret"]
        self.group.wait_until("health", lambda: self.group.get("/healthz")[0] == 200)
        alice = self.group.evenkeel(*asked, self.keys / "alice.secret")
        self.assertEqual(alice.returncode, 0, alice.stderr)
        worker = self.group.evenkeel(*asked, self.keys / "worker-0.secret")
        self.assertEqual(worker.returncode, 2)
        self.assertIn("no operator", worker.stderr)
        nobody = self.group.evenkeel("status", "--endpoint", endpoint, "--timeout", "1s")
        self.assertEqual(nobody.returncode, 1)

    def test_bad_keys_are_named_with_their_line(self):
        for text, words in (("short worker-0\n", ("line 1", "no public key")), (f"{self.public('alice')}\n", ("line 1", "the user")),
                            (f"# x\n{self.public('alice')} a b\n", ("line 2", "'b' is no option"))):
            self.authorised.write_text(text)
            self.assertEqual(self.rebalancer().wait(timeout=DEADLINE_S), 2)
            for word in words:
                self.assertIn(word, self.group.log_of("evenkeel-rebalancer"))
        self.assertEqual(self.group.rebalancer(authorized_keys=self.authorised).wait(timeout=DEADLINE_S), 2)
        self.assertIn("--curve-secret is missing", self.group.log_of("evenkeel-rebalancer"))


class UnitsTest(unittest.TestCase):
    def setUp(self):
        self.group = Operated(self)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
    def test_the_units_are_well_formed(self):
        # systemd would take a blank in the programs' own path for the end of it.
        programs = self.group.folder / "bin"
        programs.symlink_to(BIN)
        for unit in sorted((ROOT / "configs" / "systemd").glob("*.service")):
            copy = self.group.folder / unit.name
            copy.write_text(unit.read_text().replace("/usr/bin/", f"{programs}/"))
            checked = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_the_options_of_the_units_are_options_of_the_programs(self):
        for unit in sorted((ROOT / "configs" / "systemd").glob("*.service")):
            program, *arguments = re.search(r"^ExecStart=/usr/bin/(.*)$", unit.read_text(), re.MULTILINE)[1].split()
            help_text = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, check=True).stdout
            self.assertGreater(len(arguments), 4)
            for argument in arguments:
                if argument.startswith("--"):
                    self.assertRegex(help_text, rf"{argument}\b")

    def test_the_service_manager_hears_of_start_life_and_end(self):
        path = self.group.folder / "notify"
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
            manager.bind(str(path))
            manager.settimeout(10)
            with unittest.mock.patch.dict(os.environ, NOTIFY_SOCKET=str(path)):
                rebalancer = self.group.rebalancer()
            self.assertEqual([manager.recv(100), manager.recv(100)], [b"READY=1", b"WATCHDOG=1"])
            rebalancer.send_signal(signal.SIGTERM)
            heard = b""
            while heard != b"STOPPING=1":
                heard = manager.recv(100)
            self.assertEqual(rebalancer.wait(timeout=DEADLINE_S), 0)


class BackupTest(unittest.TestCase):
    def setUp(self):
        self.group = Operated(self)

    def state_command(self, *arguments):
        return subprocess.run([BIN / "evenkeel-rebalancer", *arguments], capture_output=True, text=True, timeout=DEADLINE_S)

    def test_a_copy_made_while_it_runs_restores_the_epoch(self):
        rebalancer = self.group.rebalancer(max_migrations=1)
        for rank in (0, 1):
            self.group.agent(rank)
        _, digest = self.group.wait_for_common_epoch(1)
        self.group.command("freeze", "--reason", "backup")
        copy = self.group.folder / "copy"
        made = self.state_command("backup", self.group.folder / "state", "-o", copy)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(stat.S_IMODE(copy.stat().st_mode), 0o600)
        refused = self.state_command("restore", copy, "-o", self.group.folder / "state")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("already", refused.stderr)
        rebalancer.kill()
        rebalancer.wait()

        shutil.rmtree(self.group.folder / "state")
        self.assertEqual(self.state_command("restore", copy, "-o", self.group.folder / "state").returncode, 0)
        self.group.rebalancer()
        self.group.wait_until("health", lambda: self.group.get("/healthz")[0] == 200)
        status = self.group.command("status")
        model = status["models"][0]
        self.assertEqual((model["epoch"], model["digest"], status["term"]), (1, digest, 2))
        self.assertEqual((status["is_frozen"], status["frozen_reason"]), (True, "backup"))

    def test_a_file_that_is_no_copy_is_refused(self):
        junk = self.group.folder / "junk"
        junk.write_bytes(os.urandom(8192))
        for source in (junk, self.group.folder / "absent"):
            refused = self.state_command("restore", source, "-o", self.group.folder / "new")
            self.assertIn(refused.returncode, (1, 2))
            self.assertEqual(refused.stderr.count("\n"), 1)
            self.assertFalse((self.group.folder / "new" / "journal.sqlite").exists())
        self.assertEqual(self.state_command("backup", self.group.folder, "-o", junk).returncode, 2)


if __name__ == "__main__":
    unittest.main()
