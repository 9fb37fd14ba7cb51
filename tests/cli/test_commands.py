"""The commands as documented: output, files, exit codes."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import BIN, DAY, CommandTest, npy, npz, run

METRICS = ["imbalance_mean", "imbalance_worst", "imbalance_by_layer", "same_gpu_share", "same_node_share", "gpus_touched",
           "nodes_touched", "busiest_gpu_bytes", "step_time_seconds", "sglang_balancedness", "vllm_balancedness",
           "trtllm_imbalance", "ascend_par", "duplicate_slots", "churn", "moved_bytes", "rounds"]
EPLB_COUNTS = [[90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86], [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27]]
EPLB_MAP = [[5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1], [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1]]


class Compare(CommandTest):
    def test_json_is_the_contract(self):
        out = self.folder / "out"
        scores = self.json_of("compare", DAY, "--gpus", 8, "--comm", "resident", "--holdout", 0.5, "--time", "1s", "--strategies",
                              "contiguous,lpt,eplb,metis-glpk", "--json", "--out-dir", out)
        self.assertEqual(scores["schema"], "evenkeel.scores/1")
        self.assertEqual(scores["split"], {"fit_sequences": 280, "score_sequences": 280})
        self.assertEqual([row["strategy"] for row in scores["rows"]], ["contiguous", "lpt", "eplb", "metis-glpk"])
        for row in scores["rows"]:
            is_blind = row["strategy"] != "metis-glpk"
            self.assertEqual(set(row), {"strategy", "status", "solve_seconds", "in_sample", "held_out", "certificate", "stages",
                                        *(["not_honoured"] if is_blind else [])})
            if is_blind:
                self.assertEqual(row["not_honoured"], [f"strategy {row['strategy']} looks at loads alone"])
            for part in ("in_sample", "held_out"):
                self.assertEqual(list(row[part]), METRICS)
                self.assertEqual(len(row[part]["imbalance_by_layer"]), 8)
            self.assertEqual(set(row["certificate"]), {"value", "bound", "gap", "load_bound", "z_star"})
            placement = json.loads((out / f"{row['strategy']}.json").read_text())
            self.assertEqual(placement["schema"], "evenkeel.placement/1")
            self.assertEqual((placement["experts"], placement["gpus"], placement["nodes"]), (64, 8, 1))
        split = json.loads((out / "split.json").read_text())
        self.assertEqual(split["fit"], list(range(0, 560, 2)))
        self.assertEqual(split["score"], list(range(1, 560, 2)))

    def test_metis_glpk_beats_the_baselines_out_of_sample_inside_its_caps(self):
        rows = {row["strategy"]: row for row in self.json_of(
            "compare", DAY, "--gpus", 8, "--comm", "resident", "--holdout", 0.5, "--time", "2s", "--slack", 0.02, "--strategies", "lpt,eplb,metis-glpk",
            "--json")["rows"]}
        ours = rows["metis-glpk"]
        for name in ("lpt", "eplb"):
            self.assertGreater(ours["held_out"]["same_gpu_share"], 1.3 * rows[name]["held_out"]["same_gpu_share"])
        for ratio, z_star in zip(ours["in_sample"]["imbalance_by_layer"], ours["certificate"]["z_star"]):
            self.assertLessEqual(ratio, 1.02 * z_star + 1e-9)
        self.assertEqual(ours["in_sample"]["duplicate_slots"], 0)

    def test_time_bounds_the_solver(self):
        for limit in (0, 0.3, 1):
            for comm in ("resident", "dispatch"):
                # A machine that stands still for a moment is no fault of the solver's.
                for _ in range(3):
                    late = self.late(limit, comm)
                    if not late:
                        break
                self.assertEqual(late, [], (limit, comm))

    def late(self, limit, comm):
        """Strategies that took longer than they may with this limit of seconds."""
        strategies = "evenkeel,metis-glpk,lpt,eplb,metis,metis-naive,exflow,moetuner,moetuner-strong"
        rows = self.json_of("compare", DAY, "--gpus", 8, "--nodes", 2, "--time", f"{limit}s", "--comm", comm, "--strategies",
                            strategies, "--json")["rows"]
        self.assertEqual({row["status"] for row in rows if row["solve_seconds"] is None} - {"time_limit"}, set())
        return [row["strategy"] for row in rows if (row["solve_seconds"] or 0) > 1.1 * limit + 0.3]

    def test_work_gives_the_same_placement_bytes_on_one_and_two_threads(self):
        for strategy in ("evenkeel", "metis-glpk"):
            for comm in ("resident", "dispatch"):
                maps = []
                for threads in (1, 2, 2):
                    out = self.folder / f"{strategy}-{comm}-{len(maps)}"
                    self.succeed("compare", DAY, "--gpus", 8, "--nodes", 2, "--work", 20000000, "--threads", threads, "--comm", comm,
                                 "--strategies", strategy, "--out-dir", out)
                    maps.append((out / f"{strategy}.json").read_bytes())
                self.assertEqual(len(set(maps)), 1, (strategy, comm))

    def test_stages_say_what_each_start_contributed(self):
        row = self.json_of("compare", DAY, "--gpus", 8, "--comm", "resident", "--slack", 0.02, "--time", "3s", "--strategies", "evenkeel",
                           "--json")["rows"][0]
        stages = {stage["name"]: stage for stage in row["stages"]}
        for name in ("lpt descent", "transport descent", "metis folded descent", "metis layered descent", "search", "relabel"):
            self.assertIn(name, stages)
        self.assertLess(stages["metis layered descent"]["value_after"], stages["lpt descent"]["value_after"])
        blocks = stages["glpk layers"]["blocks"]
        self.assertEqual(set(blocks), {"solves", "closed", "improved", "gain", "gain_bound"})
        self.assertGreater(blocks["solves"], 0)
        self.assertGreater(row["certificate"]["bound"], 0)
        self.assertLessEqual(row["certificate"]["bound"], row["certificate"]["value"])

    def test_stages_can_be_left_out(self):
        row = self.json_of("compare", DAY, "--gpus", 8, "--comm", "resident", "--time", "1s", "--strategies", "evenkeel", "--without", "metis,search,glpk",
                           "--json")["rows"][0]
        names = " ".join(stage["name"] for stage in row["stages"])
        self.assertIn("transport", names)
        for left_out in ("metis", "search", "glpk"):
            self.assertNotIn(left_out, names)

    def test_dispatch_lowers_what_engines_send(self):
        rows = {row["strategy"]: row for row in self.json_of(
            "compare", DAY, "--gpus", 8, "--nodes", 2, "--comm", "dispatch", "--slack", 0.02, "--holdout", 0.5, "--time", "3s",
            "--strategies", "lpt,evenkeel",
            "--json")["rows"]}
        ours, lpt = rows["evenkeel"], rows["lpt"]
        self.assertLess(ours["held_out"]["gpus_touched"], 0.95 * lpt["held_out"]["gpus_touched"])
        self.assertLess(ours["held_out"]["nodes_touched"], lpt["held_out"]["nodes_touched"])
        self.assertIsNone(ours["certificate"]["bound"])
        value = 8 * (ours["in_sample"]["gpus_touched"] * 50 / 450 + ours["in_sample"]["nodes_touched"])
        self.assertAlmostEqual(ours["certificate"]["value"], value, places=6)

    def test_dispatch_is_searched_for_unless_resident_is_asked_for(self):
        for form, comm in (("sglang", []), ("evenkeel", []), ("evenkeel", ["--comm", "resident"])):
            row = self.json_of("partition", DAY, "--gpus", 8, "--time", "300ms", "--format", form, *comm, "-o", self.folder / form, "--json")
            touched = 8 * row["in_sample"]["gpus_touched"]
            (self.assertNotAlmostEqual if comm else self.assertAlmostEqual)(row["certificate"]["value"], touched, places=6)

    def test_weighted_objective_is_one_sum(self):
        row = self.json_of("compare", DAY, "--gpus", 8, "--nodes", 2, "--time", "1s", "--objective", "weighted:0.25,1.0", "--strategies",
                           "evenkeel", "--json")["rows"][0]
        measured = row["in_sample"]
        pairs = 7
        other_node = 1 - measured["same_node_share"]
        other_gpu = measured["same_node_share"] - measured["same_gpu_share"]
        total = sum(measured["imbalance_by_layer"]) + pairs * (0.25 * other_gpu + other_node)
        self.assertAlmostEqual(row["certificate"]["value"], total, places=6)

    def test_a_strategy_that_does_not_finish_says_so_with_exit_code_4(self):
        result = run("compare", DAY, "--gpus", 8, "--time", "0s", "--strategies", "moetuner", "--json")
        self.assertEqual(result.returncode, 4)
        row = json.loads(result.stdout)["rows"][0]
        self.assertEqual((row["status"], row["in_sample"]), ("time_limit", None))
        result = run("partition", DAY, "--gpus", 8, "--time", "0s", "--strategy", "moetuner", "-o", self.folder / "none.json")
        self.assertEqual(result.returncode, 4)
        self.assertFalse((self.folder / "none.json").exists())

    def test_table_has_a_row_a_strategy(self):
        lines = self.succeed("compare", DAY, "--gpus", 8, "--strategies", "contiguous,random").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines[2:4]], ["contiguous", "random"])
        self.assertIn("step: modelled, 8192 tokens, dispatch", lines[4])
        self.assertEqual(lines[5], "figures are of the traffic that was fitted; traffic to come will be worse")


class Partition(CommandTest):
    def counts(self, rows):
        path = self.folder / "counts.json"
        path.write_text(json.dumps({"logical_count": rows}))
        return path

    def test_eplb_gives_its_published_map(self):
        written = self.succeed("partition", self.counts(EPLB_COUNTS), "--strategy", "eplb-hierarchical", "--redundant", 4, "--groups", 4, "--nodes", 2,
                               "--gpus", 8, "-o", "-", "--format", "sglang")
        self.assertEqual(json.loads(written.stdout), {"physical_to_logical_map": EPLB_MAP})

    def test_sglang_map_has_rows_for_dense_layers(self):
        out = self.folder / "p.json"
        self.succeed("partition", self.counts([[0] * 12] + EPLB_COUNTS), "--gpus", 4, "-o", out, "--format", "sglang")
        rows = json.loads(out.read_text())["physical_to_logical_map"]
        self.assertEqual(rows[0], list(range(12)))
        self.assertEqual([sorted(row) for row in rows], [list(range(12))] * 3)

    def test_report_is_one_row_of_the_scores(self):
        report = self.folder / "report.json"
        self.succeed("partition", DAY, "--gpus", 8, "--time", "1s", "-o", self.folder / "p.json", "--report", report)
        row = json.loads(report.read_text())
        self.assertEqual(row["strategy"], "evenkeel")
        self.assertIn("search", [stage["name"] for stage in row["stages"]])

    def test_evaluate_reads_back_what_partition_wrote(self):
        for name in ("evenkeel", "sglang"):
            out = self.folder / f"{name}.json"
            written = self.json_of("partition", DAY, "--gpus", 8, "--nodes", 2, "--redundant", 8, "--work", 100000, "-o", out, "--format", name, "--comm", "dispatch",
                                   "--json")
            read = self.json_of("evaluate", DAY, "--gpus", 8, "--nodes", 2, "--comm", "dispatch", "--placement", out, "--placement", out,
                                "--json")["rows"]
            moved = read[1]["in_sample"]
            self.assertEqual((moved["churn"], moved["moved_bytes"], moved["rounds"]), (0, 0, 0))
            for key in METRICS[:14]:
                self.assertEqual(read[0]["in_sample"][key], written["in_sample"][key], key)

    def test_settings_come_from_the_environment_and_flags_win(self):
        environment = {**os.environ, "EVENKEEL_GPUS": "4", "EVENKEEL_STRATEGY": "contiguous"}
        out = self.folder / "p.json"
        self.succeed("partition", DAY, "-o", out, env=environment)
        self.assertEqual(json.loads(out.read_text())["gpus"], 4)
        self.succeed("partition", DAY, "--gpus", 16, "-o", out, env=environment)
        self.assertEqual(json.loads(out.read_text())["gpus"], 16)

    def test_a_cluster_flag_wins_over_counts_in_the_environment(self):
        cluster = self.folder / "c.yaml"
        cluster.write_text("gpus: 16\n")
        out = self.folder / "p.json"
        self.succeed("partition", DAY, "--cluster", cluster, "--strategy", "lpt", "-o", out, env={**os.environ, "EVENKEEL_GPUS": "4"})
        self.assertEqual(json.loads(out.read_text())["gpus"], 16)
        self.succeed("partition", DAY, "--gpus", 8, "--strategy", "lpt", "-o", out, env={**os.environ, "EVENKEEL_CLUSTER": str(cluster)})
        self.assertEqual(json.loads(out.read_text())["gpus"], 8)
        self.assertEqual(run("partition", DAY, "--gpus", 8, "--cluster", cluster, "-o", out).returncode, 2)

    def test_a_link_stays_and_its_target_is_written(self):
        (self.folder / "real.json").write_text("old")
        (self.folder / "link.json").symlink_to("real.json")
        self.succeed("partition", DAY, "--gpus", 8, "--strategy", "lpt", "-o", self.folder / "link.json")
        self.assertTrue((self.folder / "link.json").is_symlink())
        self.assertEqual(json.loads((self.folder / "real.json").read_text())["gpus"], 8)

    def test_layers_without_load_are_left_out_and_dense_rows_written_over_several_dumps(self):
        first, second = self.folder / "a.json", self.folder / "b.json"
        first.write_text(json.dumps({"logical_count": [[1, 2], [0, 0], [3, 4], [0, 0]]}))
        second.write_text(json.dumps({"logical_count": [[1, 2], [5, 5], [3, 4], [0, 0]]}))
        out = self.folder / "p.json"
        self.succeed("partition", first, second, "--gpus", 2, "-o", out)
        self.assertEqual(json.loads(out.read_text())["layer_ids"], [0, 1, 2])
        self.succeed("partition", first, "--gpus", 2, "-o", out, "--format", "sglang")
        self.assertEqual(len(json.loads(out.read_text())["physical_to_logical_map"]), 4)
        ids = npz(self.folder / "t.npz", ids=npy("|i1", "(2, 3, 1)", b"\x00\xff\x01\x01\xff\x00"))
        self.succeed("partition", ids, "--gpus", 2, "-o", out)
        self.assertEqual(json.loads(out.read_text())["layer_ids"], [0, 2])

    def test_interrupt_exits_130_and_leaves_no_file(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([BIN / "evenkeel", "partition", DAY, "--gpus", "8", "--time", "60s", "-o", self.folder / "p.json"])
            time.sleep(1.0)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=60), 130)
            self.assertEqual(list(self.folder.iterdir()), [])


class Help(CommandTest):
    def test_every_command_has_examples(self):
        for command in ("partition", "compare", "evaluate", "plan"):
            self.assertIn("Examples:\n", self.succeed(command, "--help").stdout)

    def test_version(self):
        self.assertRegex(self.succeed("--version").stdout, r"^\d+\.\d+\.\d+\n$")


class Rounds(CommandTest):
    def test_several_rounds_over_a_layer_are_one_row(self):
        ids = bytes((3 * token + 5 * rounds + 7 * choice) % 8 for token in range(200) for rounds in range(3) for choice in range(2))
        trace = npz(self.folder / "t.npz", ids=npy("|u1", "(200, 3, 2)", ids), layer_ids=npy("<i8", "(3,)", b"".join(
            value.to_bytes(8, "little") for value in (4, 4, 6))))
        out = self.folder / "p.json"
        self.succeed("partition", trace, "--gpus", 4, "--time", "1s", "-o", out)
        placement = json.loads(out.read_text())
        self.assertEqual(placement["layer_ids"], [4, 6])
        self.assertEqual(len(placement["physical_to_logical_map"]), 2)


class Profile(CommandTest):
    def test_standard_input_is_a_trace(self):
        named = self.json_of("profile", DAY, "-o", self.folder / "a.npz", "--json")
        with open(DAY, "rb") as day:
            piped = self.json_of("profile", "-", "-o", self.folder / "b.npz", "--json", stdin=day)
        self.assertEqual(piped, named)
        self.assertEqual((self.folder / "a.npz").read_bytes(), (self.folder / "b.npz").read_bytes())

    def test_standard_input_is_named_in_errors(self):
        result = run("profile", "-", "-o", self.folder / "p.npz", stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 2)
        self.assertIn("standard input: its content is empty", result.stderr)
        self.assertEqual(run("profile", "-", "-", "-o", self.folder / "p.npz", stdin=subprocess.DEVNULL).returncode, 2)

    def test_a_profile_is_a_trace_for_every_command(self):
        profile = self.folder / "p.npz"
        self.succeed("profile", DAY, "-o", profile)
        rows = {}
        for trace in (DAY, profile):
            scores = self.json_of("compare", trace, "--gpus", 8, "--strategies", "lpt", "--json")["rows"]
            rows[trace] = scores[0]["in_sample"]
        for figure in ("imbalance_mean", "same_gpu_share", "gpus_touched"):
            self.assertAlmostEqual(rows[DAY][figure], rows[profile][figure], places=9)
        self.succeed("inspect", profile)
        self.succeed("partition", profile, "--gpus", 8, "--time", "200ms", "-o", self.folder / "map.json")
        self.succeed("evaluate", profile, "--gpus", 8, "--placement", self.folder / "map.json")


if __name__ == "__main__":
    unittest.main()
