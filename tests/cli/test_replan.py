"""Planning from a running placement, and on recorded loads of DeepSeek-V3 where they are present (EVENKEEL_DATA)."""

import collections
import json
import unittest

from harness import DATA, DAY, NO_DATA, CommandTest, run

DEEPSEEK = DATA / "deepseek-v3"


def placement_rows(path):
    return json.loads(path.read_text())["physical_to_logical_map"]


def moves_between(before, after, gpus):
    """Slots whose GPU did not hold their expert before."""
    moves = 0
    for old, new in zip(before, after):
        per_gpu = len(new) // gpus
        for first in range(0, len(new), per_gpu):
            moves += sum(expert not in old[first : first + per_gpu] for expert in new[first : first + per_gpu])
    return moves


def doubled_slots(rows, gpus):
    doubled = 0
    for row in rows:
        per_gpu = len(row) // gpus
        doubled += sum(per_gpu - len(set(row[first : first + per_gpu])) for first in range(0, len(row), per_gpu))
    return doubled


class FromTheRunningPlacement(CommandTest):
    def setUp(self):
        super().setUp()
        self.running = self.folder / "running.json"
        self.out = self.folder / "next.json"
        self.day = ("partition", DAY, "--gpus", 16, "--nodes", 2, "--redundant", 16)
        self.succeed(*self.day, "--strategy", "eplb", "-o", self.running)

    def next(self, *options):
        budget = () if "--work" in options else ("--work", 20_000_000)
        row = self.json_of(*self.day, "--from", self.running, "-o", self.out, "--json", *budget, *options)
        moves = moves_between(placement_rows(self.running), placement_rows(self.out), 16)
        self.assertEqual(row["replan"]["moves"], moves)
        self.assertAlmostEqual(row["in_sample"]["churn"], moves / (8 * 80))
        self.assertAlmostEqual(row["in_sample"]["moved_bytes"], 44e6 * moves)
        return row

    def test_a_share_of_moves_is_kept(self):
        for comm in ("resident", "dispatch"):
            row = self.next("--max-moves", 0.07, "--comm", comm)
            self.assertEqual(row["replan"]["moves_max"], 44)
            self.assertLessEqual(row["replan"]["moves"], 44)
            self.assertEqual(row["in_sample"]["duplicate_slots"], 0)
            self.assertEqual([stage["name"] for stage in row["stages"]][:2], ["replan loads", "replan communication"])

    def test_so_are_bytes(self):
        row = self.next("--max-bytes", 1e9)
        self.assertEqual(row["replan"]["moves_max"], 22)
        self.assertLessEqual(row["in_sample"]["moved_bytes"], 1e9)

    def test_no_move_leaves_every_slot(self):
        self.next("--max-moves", 0)
        self.assertEqual(placement_rows(self.out), placement_rows(self.running))

    def test_without_a_budget_gpus_change_names_for_few_moves(self):
        row = self.next("--work", 2000000)
        self.assertIsNone(row["replan"]["moves_max"])
        plain = self.json_of(*self.day, "-o", self.folder / "plain.json", "--work", 2000000, "--json")
        self.assertAlmostEqual(row["certificate"]["value"], plain["certificate"]["value"], places=9)
        plain_moves = moves_between(placement_rows(self.running), placement_rows(self.folder / "plain.json"), 16)
        self.assertLess(row["replan"]["moves"], plain_moves)
        self.assertNotIn("replan", plain)

    def test_the_table_says_what_the_moves_bought(self):
        text = self.succeed(*self.day, "--from", self.running, "-o", self.out, "--time", "1s", "--max-moves", 0.1).stdout
        self.assertIn("churn", text.splitlines()[0])
        self.assertRegex(text, r"moves: imbalance \d\.\d{4} -> \d\.\d{4} for \d+ slots that change, 64 allowed \(\d+\.\d\d % of all\)")

    def test_compare_counts_moves_of_every_strategy(self):
        scores = self.json_of("compare", DAY, "--gpus", 16, "--nodes", 2, "--redundant", 16, "--from", self.running, "--max-moves", 0.05,
                              "--holdout", 0.5, "--time", "1s", "--strategies", "lpt,eplb,evenkeel", "--json")
        rows = {row["strategy"]: row for row in scores["rows"]}
        self.assertLessEqual(rows["evenkeel"]["in_sample"]["churn"], 0.05)
        self.assertEqual(rows["evenkeel"]["in_sample"]["churn"], rows["evenkeel"]["held_out"]["churn"])
        self.assertGreater(rows["lpt"]["in_sample"]["churn"], 0.5)
        self.assertIsNone(rows["lpt"]["replan"]["moves_max"])
        self.assertIn("strategy lpt keeps no budget of moves", rows["lpt"]["not_honoured"])
        self.assertNotIn("not_honoured", rows["evenkeel"])

    def test_faults_are_named_in_one_line(self):
        for options, message in (
            (("--max-moves", 0.1), "--max-moves needs the placement that runs; give it as --from FILE"),
            (("--from", self.running, "--max-moves", 0.1, "--max-bytes", 1e9), "both --max-moves and --max-bytes are given"),
            (("--from", self.running, "--max-moves", 0.1, "--strategy", "lpt"), "strategy lpt keeps no budget of moves"),
            (("--from", self.running, "--max-moves", 0.1, "--objective", "weighted:1,1"), "the weighted objective has no budget of moves"),
            (("--from", self.folder / "none.json"), "none.json"),
            (("--from", self.running, "--max-moves", 1.5), "--max-moves"),
        ):
            result = run(*self.day, "-o", self.out, *options)
            self.assertEqual((result.returncode, result.stdout), (2, ""), options)
            self.assertIn(message, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        result = run("partition", DAY, "--gpus", 16, "--nodes", 2, "--from", self.running, "-o", self.out)
        self.assertEqual(result.returncode, 2)
        self.assertIn("16 redundant slots but 0 are asked for; give 16", result.stderr)


@unittest.skipUnless(DEEPSEEK.exists(), NO_DATA)
class DriftOfDeepSeek(CommandTest):
    def check(self, before, after, strategy, redundant, kept, targets):
        running = self.folder / "running.json"
        common = ("--gpus", 32, "--redundant", redundant)
        self.succeed("partition", DEEPSEEK / f"{before}.json", *common, "--strategy", strategy, "-o", running)
        old = placement_rows(running)
        for share, imbalance in targets.items():
            out = self.folder / "next.json"
            row = self.json_of("partition", DEEPSEEK / f"{after}.json", *common, "--from", running, "--max-moves", share, "--work", 100_000_000,
                               "-o", out, "--json")
            new = placement_rows(out)
            self.assertAlmostEqual(row["replan"]["imbalance_before"], kept, places=3)
            self.assertLessEqual(row["in_sample"]["imbalance_mean"], imbalance)
            self.assertLessEqual(moves_between(old, new, 32), share * len(old) * len(old[0]))
            self.assertEqual(doubled_slots(new, 32), 0)
            for old_row, new_row in zip(old, new):
                slots = len(new_row) // 32
                for first in range(0, len(new_row), slots):
                    held = collections.Counter(old_row[first : first + slots])
                    stay = [p for p in range(first, first + slots) if held[old_row[p]] == 1 and old_row[p] in new_row[first : first + slots]]
                    self.assertEqual([new_row[p] for p in stay], [old_row[p] for p in stay])

    def test_from_prefill_to_decode(self):
        self.check("prefill_in4096", "decode_in1000out1000", "lpt", 0, 1.3954, {0.12: 1.075, 0.06: 1.13})

    def test_from_prefill_to_decode_with_spare_slots(self):
        self.check("prefill_in4096", "decode_in1000out1000", "eplb", 32, 1.3309, {0.12: 1.02, 0.08: 1.035})

    def test_from_short_to_long_prompts(self):
        self.check("prefill_in1024", "prefill_in4096", "lpt", 0, 1.3563, {0.085: 1.208})


if __name__ == "__main__":
    unittest.main()
