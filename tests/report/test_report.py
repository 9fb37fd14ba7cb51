"""The HTML report in headless Chromium: drawn, fetched from nowhere, reachable by keyboard, clean to axe-core, small."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from harness import BIN, DATA, DAY, NO_DATA, CommandTest, run

HERE = pathlib.Path(__file__).resolve().parent
NPM = os.environ.get("EVENKEEL_NPM", BIN.parent / "npm/report-test")
DEEPSEEK = sorted((DATA / "deepseek-v3").glob("*.json"))
BYTES_MAX = 1_500_000
LOADS = ["heat", "busiest", "skew", "certificate"]
VIEWS = ["light-1280", "dark-1280", "light-390"]
PATHS = [*LOADS, "front", "bytes", "shares", "consistency"]
REPLAY = ["heat", "busiest", "skew", "front", "bytes", "shares", "consistency", "step-time-timeline", "imbalance-timeline"]
DATA_ELEMENT = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.DOTALL)


def data_of(page):
    return json.loads(DATA_ELEMENT.search(page.read_text())[2])


class Report(CommandTest):
    def look_at(self, *cases):
        """Opens pages in a browser; each with the charts it must have and the views to try."""
        arguments = [f"{page}:{','.join(charts)}:{','.join(views)}" for page, charts, views in cases]
        result = subprocess.run(["node", HERE / "report.mjs", *arguments], capture_output=True, text=True, timeout=300,
                                env={**os.environ, "EVENKEEL_NPM": str(NPM)})
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_reports_of_token_paths_are_whole(self):
        compared = self.folder / "compared.html"
        self.succeed("compare", DAY, "--gpus", 8, "--holdout", 0.5, "--work", 200000, "--html", compared, "--front", "0.1")
        contiguous = self.folder / "running.json"
        self.succeed("partition", DAY, "--gpus", 8, "--nodes", 2, "--strategy", "contiguous", "-o", contiguous)
        moved = self.folder / "moved.html"
        self.succeed("partition", DAY, "--gpus", 8, "--nodes", 2, "--comm", "dispatch", "--work", 200000, "--from", contiguous,
                     "--max-moves", 0.1, "-o", self.folder / "next.json", "--html", moved)
        replayed = self.folder / "replayed.html"
        self.succeed("replay", DAY, "--gpus", 8, "--nodes", 2, "--policy", "every:4", "--policy", "evenkeel", "--policy", "oracle", "--work",
                     100000, "--html", replayed)
        self.look_at((compared, PATHS, VIEWS), (moved, PATHS, ["dark-390"]),
                     (replayed, REPLAY, VIEWS))

        data = data_of(compared)
        self.assertEqual(data["verdict"]["word"], "better")
        self.assertEqual([row["strategy"] for row in data["placements"]], ["contiguous", "lpt", "eplb", "evenkeel", "evenkeel"])
        self.assertEqual(data["placements"][4]["slack"], 0.1)
        for name in ("before", "after"):
            row = data["before"] if name == "before" else next(row for row in data["placements"] if "gpu_load" in row)
            # The heat map's largest load is the imbalance that the scores report.
            for loads, ratio in zip(row["gpu_load"], row["held_out"]["imbalance_by_layer"]):
                self.assertAlmostEqual(max(loads) / 1000, ratio, delta=0.0006)
                self.assertAlmostEqual(sum(loads) / len(loads), 1000, delta=0.6)
        replay = data_of(replayed)
        self.assertEqual((replay["command"], replay["verdict"]["word"], replay["after"]), ("replay", "rebalance", "evenkeel"))
        self.assertEqual([policy["policy"] for policy in replay["timeline"]["policies"]], ["never", "every:4", "evenkeel", "oracle"])
        self.assertEqual([epoch["window"] for epoch in replay["timeline"]["policies"][1]["epochs"]], list(range(4, 40, 4)))
        self.assertEqual(data_of(moved)["before"]["strategy"], "running")
        self.assertIn("slots that change", data_of(moved)["verdict"]["sentence"])

    @unittest.skipUnless(DEEPSEEK, NO_DATA)
    def test_a_report_of_58_layers_and_256_experts_is_small(self):
        for gpus, nodes in ((256, 32), (32, 4)):
            page = self.folder / f"{gpus}.html"
            self.succeed("compare", *DEEPSEEK, "--gpus", gpus, "--nodes", nodes, "--holdout", 0.5, "--work", 100000,
                         "--strategies", "eplb,evenkeel", "--html", page)
            self.assertLess(page.stat().st_size, BYTES_MAX)
            data = data_of(page)
            self.assertEqual([len(data["expert_load"]), len(data["expert_load"][0])], [58, 256])
            self.assertEqual([len(data["before"]["gpu_load"]), len(data["before"]["gpu_load"][0])], [58, gpus])
        self.look_at((page, LOADS, VIEWS[:2]))

    def test_names_of_files_cannot_become_markup(self):
        name = "<img src=x onerror=alert(1)>&'.npz"
        (self.folder / name).symlink_to(DAY)
        page = self.folder / "named.html"
        self.succeed("partition", self.folder / name, "--gpus", 8, "--strategy", "lpt", "-o", self.folder / "p.json", "--html", page)
        self.assertNotIn("<img", page.read_text())
        self.assertIn(name, data_of(page)["options"]["traces"][0])
        self.look_at((page, PATHS, ["light-390"]))

    def test_a_report_that_cannot_be_is_refused(self):
        for arguments in (["--html", "-"], ["--front", "0.1"]):
            result = run("compare", DAY, "--gpus", 8, *arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""), arguments)
            self.assertIn("--html", result.stderr)


if __name__ == "__main__":
    unittest.main()
