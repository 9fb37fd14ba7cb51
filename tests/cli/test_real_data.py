"""Recorded routing of published models, where it is present (EVENKEEL_DATA)."""

import json
import sys
import unittest

from harness import DATA, SKIPPED, CommandTest

ESFT = DATA / "deepseek-v2-lite-esft/tokens_topk.npz"
DEEPSEEK = DATA / "deepseek-v3"


class RealData(CommandTest):
    def test_metis_glpk_keeps_twice_the_traffic_of_lpt_on_deepseek_v2_lite(self):
        rows = {row["strategy"]: row for row in self.json_of(
            "compare", ESFT, "--gpus", 8, "--holdout", 0.5, "--slack", 0.01, "--time", "12s", "--strategies", "contiguous,lpt,eplb,metis-glpk",
            "--json")["rows"]}
        ours = rows["metis-glpk"]
        self.assertAlmostEqual(rows["lpt"]["held_out"]["same_gpu_share"], 0.127, places=3)
        self.assertGreaterEqual(ours["held_out"]["same_gpu_share"], 0.250)
        for ratio, z_star in zip(ours["in_sample"]["imbalance_by_layer"], ours["certificate"]["z_star"]):
            self.assertLessEqual(ratio, 1.01 * z_star + 1e-9)

    def test_balance_of_deepseek_v3_is_no_worse_than_eplb_in_a_file_sglang_accepts(self):
        for trace in sorted(DEEPSEEK.glob("*.json")):
            out = self.folder / trace.name
            common = ("partition", trace, "--gpus", 32, "--nodes", 4, "--json")
            ours = self.json_of(*common, "-o", out, "--format", "sglang")["in_sample"]
            eplb = self.json_of(*common, "--strategy", "eplb", "-o", self.folder / "eplb.json")["in_sample"]
            self.assertLessEqual(ours["imbalance_mean"], eplb["imbalance_mean"])
            self.assertIsNone(ours["same_gpu_share"])
            written = json.loads(out.read_text())
            self.assertEqual(list(written), ["physical_to_logical_map"])
            self.assertEqual([sorted(row) for row in written["physical_to_logical_map"]], [list(range(256))] * 61)
            if trace.name == "prefill_in4096.json":
                self.assertAlmostEqual(eplb["imbalance_mean"], 1.2211, places=4)


if __name__ == "__main__":
    if not ESFT.exists():
        print(f"skipped: no recorded routing at {DATA} (set EVENKEEL_DATA)")
        sys.exit(SKIPPED)
    unittest.main()
