"""Recorded routing of published models, where it is present (EVENKEEL_DATA)."""

import json
import unittest

from harness import DATA, NO_DATA, CommandTest, skip_file

ESFT = DATA / "deepseek-v2-lite-esft/tokens_topk.npz"
GPT_OSS = DATA / "gpt-oss-20b/tokens_topk.npz"
DEEPSEEK = DATA / "deepseek-v3"
MIXTRAL = DATA / "synthetic/mixtral-like.npz"
V2_LITE_LIKE = DATA / "synthetic/v2-lite-like.npz"


class RealData(CommandTest):
    def rows(self, trace, *options):
        comm = [] if "--comm" in options else ["--comm", "resident"]
        rows = self.json_of("compare", trace, "--gpus", 8, "--holdout", 0.5, *comm, *options, "--json")["rows"]
        return {row["strategy"]: row for row in rows}

    def check_caps(self, row, slack):
        for ratio, z_star in zip(row["in_sample"]["imbalance_by_layer"], row["certificate"]["z_star"]):
            self.assertLessEqual(ratio, (1 + slack) * z_star + 1e-9)

    def test_search_keeps_more_than_every_baseline_of_its_balance(self):
        for trace, slack, share, imbalance in ((ESFT, 0.01, 0.262, 1.012), (GPT_OSS, 0.02, 0.243, 1.027)):
            rows = self.rows(trace, "--slack", slack, "--work", 300_000_000, "--strategies", "evenkeel,lpt,eplb,metis,exflow,moetuner-strong")
            ours = rows.pop("evenkeel")
            self.assertGreaterEqual(ours["held_out"]["same_gpu_share"], share)
            self.assertLessEqual(ours["in_sample"]["imbalance_mean"], imbalance)
            self.check_caps(ours, slack)
            for name, row in rows.items():
                if row["in_sample"]["imbalance_mean"] <= ours["in_sample"]["imbalance_mean"]:
                    self.assertLess(row["held_out"]["same_gpu_share"], ours["held_out"]["same_gpu_share"], name)

    def test_metis_and_descent_alone_keep_more_than_lpt_and_descent(self):
        starts = {}
        for left_out in ("transport,search,glpk", "metis,transport,search,glpk"):
            row = self.rows(ESFT, "--slack", 0.01, "--work", 300_000_000, "--strategies", "evenkeel", "--without", left_out)["evenkeel"]
            self.check_caps(row, 0.01)
            starts[left_out] = row["held_out"]["same_gpu_share"]
        with_metis, lpt = starts.values()
        self.assertGreaterEqual(with_metis, 0.250)
        self.assertLess(lpt, 0.93 * with_metis)

    def test_dispatch_touches_fewer_gpus(self):
        for trace, slack, touched, imbalance in ((ESFT, 0.01, 3.58, 1.012), (GPT_OSS, 0.01, 3.16, 1.02)):
            row = self.rows(trace, "--comm", "dispatch", "--slack", slack, "--work", 300_000_000, "--strategies", "evenkeel")["evenkeel"]
            self.assertLessEqual(row["held_out"]["gpus_touched"], touched)
            self.assertLessEqual(row["in_sample"]["imbalance_mean"], imbalance)
            self.check_caps(row, slack)

    def test_the_modelled_step_of_traffic_to_come_is_below_that_of_largest_first(self):
        for trace, gpus in ((ESFT, 8), (ESFT, 16), (GPT_OSS, 8), (GPT_OSS, 16)):
            rows = self.json_of("compare", trace, "--gpus", gpus, "--holdout", 0.5, "--holdout-seed", 1, "--work", 100_000_000, "--strategies",
                                "lpt,eplb,evenkeel", "--json")["rows"]
            lpt, eplb, ours = (row["held_out"]["step_time_seconds"] for row in rows)
            print(f"{trace.parent.name} on {gpus} GPUs: {ours / min(lpt, eplb):.4f} of the better of LPT and EPLB")
            self.assertLess(ours, min(lpt, eplb))

    def test_six_workloads_in_a_row_are_followed_and_the_limit_on_moves_is_named(self):
        files = sorted(DEEPSEEK.glob("*.json"))
        common = ("replay", *files, "--gpus", 32, "--redundant", 32, "--top-k", 8, "--policy", "every:1", "--policy", "evenkeel", "--json")
        free = {lane["policy"]: lane for lane in self.json_of(*common, "--max-moves", 1)["policies"]}
        self.assertGreaterEqual(free["evenkeel"]["throughput"], free["every:1"]["throughput"])
        self.assertRegex(self.json_of(*common)["reason"], r"limit of max-moves 0\.25 binds: within it .* with max-moves 1 it serves \d+\.\d+ % more")

    def test_mixtral_is_solved_to_the_optimum(self):
        optima = {(4, 1): 40.8689, (4, 2): 50.0708, (8, 1): 52.9090, (8, 2): 61.8655}
        for (gpus, nodes), optimum in optima.items():
            row = self.json_of("compare", MIXTRAL, "--gpus", gpus, "--nodes", nodes, "--objective", "weighted:0.25,1.0", "--time", "1s",
                               "--strategies", "evenkeel", "--json")["rows"][0]
            self.assertEqual(row["status"], "optimal")
            self.assertAlmostEqual(row["certificate"]["value"], optimum, places=3)
            self.assertLess(row["solve_seconds"], 1.0)

    def test_weighted_objective_is_near_an_independent_annealing(self):
        # By work, some 3 s: of searches that a clock ends one in five or so ends in a valley 0.2 % higher.
        row = self.json_of("compare", V2_LITE_LIKE, "--gpus", 16, "--nodes", 2, "--objective", "weighted:0.25,1.0", "--work", 80_000_000,
                           "--strategies", "evenkeel", "--json")["rows"][0]
        self.assertLessEqual(row["certificate"]["value"], 46.124 * 1.001)

    def test_metis_glpk_keeps_twice_the_traffic_of_lpt_on_deepseek_v2_lite(self):
        rows = {row["strategy"]: row for row in self.json_of(
            "compare", ESFT, "--gpus", 8, "--comm", "resident", "--holdout", 0.5, "--slack", 0.01, "--time", "12s", "--strategies", "contiguous,lpt,eplb,metis-glpk",
            "--json")["rows"]}
        ours = rows["metis-glpk"]
        self.assertAlmostEqual(rows["lpt"]["held_out"]["same_gpu_share"], 0.127, places=3)
        self.assertGreaterEqual(ours["held_out"]["same_gpu_share"], 0.250)
        for ratio, z_star in zip(ours["in_sample"]["imbalance_by_layer"], ours["certificate"]["z_star"]):
            self.assertLessEqual(ratio, 1.01 * z_star + 1e-9)

    def test_balance_of_deepseek_v3_is_no_worse_than_eplb_in_a_file_sglang_accepts(self):
        for trace in sorted(DEEPSEEK.glob("*.json")):
            out = self.folder / trace.name
            common = ("partition", trace, "--gpus", 32, "--nodes", 4, "--time", "5s", "--json")
            row = self.json_of(*common, "-o", out, "--format", "sglang")
            self.assertLessEqual(row["certificate"]["value"], 1.0005 * row["certificate"]["bound"])
            ours = row["in_sample"]
            eplb = self.json_of(*common, "--strategy", "eplb", "-o", self.folder / "eplb.json")["in_sample"]
            self.assertLessEqual(ours["imbalance_mean"], eplb["imbalance_mean"])
            report = self.json_of(*common, "-o", self.folder / "again.json", "--work", 0)
            self.assertLessEqual(report["in_sample"]["imbalance_mean"], eplb["imbalance_mean"] + 1e-9)
            self.assertIsNone(ours["same_gpu_share"])
            written = json.loads(out.read_text())
            self.assertEqual(list(written), ["physical_to_logical_map"])
            self.assertEqual([sorted(row) for row in written["physical_to_logical_map"]], [list(range(256))] * 61)
            if trace.name == "prefill_in4096.json":
                self.assertAlmostEqual(eplb["imbalance_mean"], 1.2211, places=4)


if __name__ == "__main__":
    if not ESFT.exists():
        skip_file(NO_DATA)
    unittest.main()
