"""The step-time model from the command line: hardware by name, settings of a cluster file, calibration, slack by step time."""

import json
import re
import unittest

from harness import DAY, RefusalTest, npy, npz, run

MEASURED = """what,tokens,experts,bytes,seconds
compute,64,8,,1.0976e-4
compute,4096,8,,4.7264e-4
compute,64,1,,1.876e-5
intra_node,,,1e5,3.6222222222222e-6
intra_node,,,1e9,2.2256222222222e-3
other,,,,1.5e-4
"""


class StepTime(RefusalTest):
    def step_ms(self, *options):
        row, = self.json_of("compare", DAY, "--strategies", "contiguous", "--json", *options)["rows"]
        return 1e3 * row["in_sample"]["step_time_seconds"]

    def test_hardware_by_name_sets_computing_and_links(self):
        plain = self.step_ms("--gpus", 8, "--nodes", 2)
        h100 = self.step_ms("--cluster", "h100", "--nodes", 2)
        h200 = self.step_ms("--cluster", "h200", "--nodes", 2)
        rack = self.step_ms("--cluster", "gb200-nvl72", "--gpus", 8)
        self.assertGreater(h100, plain)
        self.assertLess(h200, h100)
        self.assertLess(rack, h200)

    def test_settings_of_the_file_change_the_step_by_what_they_say(self):
        def step_ms(settings):
            path = self.text("c.yaml", f"gpus: 8\nstep_time: {{{settings}}}\n")
            return self.step_ms("--cluster", path)
        plain = self.step_ms("--gpus", 8)
        self.assertAlmostEqual(step_ms("other_per_layer_us: 250"), plain + 8 * 0.25, places=9)
        self.assertLess(step_ms("overlap_ratio: 1"), step_ms("overlap_ratio: 0.5"))
        self.assertAlmostEqual(step_ms("overlap_ratio: 0"), plain, places=12)
        self.assertAlmostEqual(step_ms("compute_per_token_us: 0.09, compute_per_expert_us: 13"), plain, places=12)

    def test_names_that_are_no_hardware_are_refused(self):
        self.refuse(2, ["cluster 'h20' is unknown; did you mean 'h200'?", "give a cluster file"], "compare", DAY, "--cluster", "h20")

    def test_counts_beside_a_file_are_refused(self):
        path = self.text("c.yaml", "gpus: 8\n")
        self.refuse(2, ["give one or the other"], "compare", DAY, "--cluster", path, "--gpus", 4)


class Calibrate(RefusalTest):
    def test_the_sections_go_into_a_cluster_file(self):
        measured = self.text("m.csv", MEASURED)
        sections = self.succeed("calibrate", measured, "-o", "-").stdout
        cluster = self.text("c.yaml", f"gpus: 8\n{sections}")
        row, = self.json_of("compare", DAY, "--cluster", cluster, "--strategies", "contiguous", "--json")["rows"]
        plain, = self.json_of("compare", DAY, "--gpus", 8, "--strategies", "contiguous", "--json")["rows"]
        # c, a and the bandwidth are those of the defaults; there is a constant of 150 us, and 0.4 us more latency.
        expected = plain["in_sample"]["step_time_seconds"] + 8 * (150e-6 + 0.4e-6)
        self.assertAlmostEqual(row["in_sample"]["step_time_seconds"], expected, delta=2e-8)

    def test_the_table_has_a_line_a_constant_and_json_the_same(self):
        measured = self.text("m.csv", MEASURED)
        table = self.succeed("calibrate", measured).stdout
        constants = self.json_of("calibrate", measured, "--json")["constants"]
        self.assertEqual([constant["key"] for constant in constants],
                         ["bandwidth_gb_per_s", "latency_us", "compute_per_token_us", "compute_per_expert_us", "other_per_layer_us"])
        for constant in constants:
            self.assertIn(f"{constant['section']}.{constant['key']}", table)
        self.assertIn("step_time:\n  compute_per_token_us: 0.09\n", table)
        self.assertAlmostEqual(constants[0]["value"], 450, delta=0.01)
        self.assertGreater(constants[0]["r2"], 0.9999)
        self.assertIsNone(constants[-1]["r2"])

    def test_measurements_that_leave_a_constant_open_are_refused(self):
        self.refuse(2, ["m.csv", "1 compute rows", "give at least two"], "calibrate",
                    self.text("m.csv", "what,tokens,experts,seconds\ncompute,64,8,1e-4\n"), "-o", self.folder / "c.yaml")

    def test_lines_that_are_none_are_refused(self):
        self.refuse(2, ["m.csv: line 2: seconds is 'soon'"], "calibrate", self.text("m.csv", "what,seconds\nother,soon\n"))
        self.refuse(2, ["absent.csv", "cannot be read"], "calibrate", self.folder / "absent.csv")

    def test_two_outputs_on_one_stream_are_refused(self):
        self.refuse(2, ["--json and -o -"], "calibrate", self.text("m.csv", MEASURED), "--json", "-o", "-")


class SlackAuto(RefusalTest):
    def test_it_says_which_slack_and_keeps_it(self):
        options = ["--gpus", 8, "--comm", "resident", "--slack", "auto", "--windows", 1, "--work", 60000, "-o", self.folder / "p.json", "--json"]
        result = self.succeed("partition", DAY, *options)
        slack, windows = self.chosen(result)
        self.assertEqual(windows, 1)
        self.assertIn(slack, (0, 0.005, 0.01, 0.02, 0.05, 0.1))
        row = json.loads(result.stdout)
        for layer, z_star in enumerate(row["certificate"]["z_star"]):
            self.assertLessEqual(row["in_sample"]["imbalance_by_layer"][layer], z_star * (1 + slack) + 1e-9)
        self.assertEqual(self.succeed("partition", DAY, *options).stderr, result.stderr)

    def test_it_chooses_windows_too_where_none_are_given(self):
        common = ["partition", DAY, "--gpus", 8, "--work", 2000000, "--comm", "resident", "-o", self.folder / "p.json", "--json"]
        slack, windows = self.chosen(self.succeed(*common, "--slack", "auto"))
        self.assertIn(windows, (1, 4))
        row = json.loads(self.succeed(*common, "--slack", slack, "--windows", windows).stdout)
        self.assertEqual(row["status"], "ok")

    def chosen(self, result):
        """Slack and windows that standard error tells of."""
        slack, windows = re.search(r"note: slack (\S+) over (\d+) window", result.stderr).groups()
        return float(slack), int(windows)

    def test_with_one_sequence_it_says_that_none_is_tried(self):
        trace = npz(self.folder / "one.npz", ids=npy("|u1", "(4, 2, 1)", bytes([0, 1, 1, 2, 2, 3, 3, 0])))
        common = ["partition", trace, "--gpus", 2, "--work", 1000, "-o", self.folder / "p.json"]
        self.assertIn("note: slack 0.02 is taken: ", self.succeed(*common, "--comm", "resident").stderr)
        self.assertNotIn("slack", self.succeed(*common).stderr)

    def test_loads_and_the_weighted_objective_have_none(self):
        loads = self.text("loads.json", '{"logical_count": [[4, 3, 2, 1]]}')
        for options in (["partition", loads, "--gpus", 2, "--top-k", 1], ["partition", DAY, "--gpus", 8, "--work", 1000, "--objective", "weighted:1,1"]):
            self.assertNotIn("slack", self.succeed(*options, "--slack", "auto", "-o", self.folder / "p.json").stderr)

    def test_under_dispatch_the_step_decides_and_a_number_is_a_cap(self):
        common = ["partition", DAY, "--gpus", 8, "--work", 30000000, "-o", self.folder / "p.json", "--json"]
        rows = {slack: json.loads(self.succeed(*common, "--slack", slack).stdout) for slack in ("auto", 0.02)}
        for layer, z_star in enumerate(rows[0.02]["certificate"]["z_star"]):
            self.assertLessEqual(rows[0.02]["in_sample"]["imbalance_by_layer"][layer], z_star * 1.02 + 1e-9)
        self.assertLess(rows["auto"]["in_sample"]["step_time_seconds"], rows[0.02]["in_sample"]["step_time_seconds"])

    def test_values_out_of_range_are_refused(self):
        for value in ("-1", "2", "some", "nan"):
            self.assertEqual(run("compare", DAY, "--gpus", 8, "--slack", value).returncode, 2)


if __name__ == "__main__":
    unittest.main()
