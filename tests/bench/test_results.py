"""The tables of the results: runs, records, Markdown."""

import contextlib
import io
import json
import pathlib
import unittest

import paths  # noqa: F401  (first: the modules below are found through it)

import results
from harness import DAY, CommandTest
from results_run import Run, Table, Trace, execute, readable
from results_table import cells, columns, render_table, splice

TRACE = Trace("a day", str(DAY), 1)


class Quick(CommandTest):
    def run_quick(self):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = results.main(["--quick", "--trace", str(DAY), "--out", str(self.folder)])
        return code, out.getvalue(), err.getvalue()

    def test_renders_a_table_and_goes_on_where_it_stopped(self):
        code, markdown, progress = self.run_quick()
        self.assertEqual(code, 0, progress)
        lines = markdown.splitlines()
        self.assertEqual(lines[0], "### day.npz: 8 GPUs, 1 node, resident")
        header, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
        self.assertEqual(header[:7], ["strategy", "status", "solve s", "imbalance, in", "imbalance, out", "same-GPU, in", "same-GPU, out"])
        self.assertEqual([row[0] for row in rows], ["evenkeel", "contiguous", "eplb"])
        self.assertEqual({len(row) for row in rows}, {len(header)})
        self.assertEqual(len(list(self.folder.glob("*.json"))), 3)
        self.assertEqual(self.run_quick(), (0, markdown, ""))


class Runs(CommandTest):
    def test_a_run_that_fails_is_a_row_that_says_why(self):
        table = Table("day", 8, threads=None, strategies=("nonsense",))
        run, = table.runs()
        record = execute(run, TRACE, [DAY])
        self.assertEqual((record["exit_code"], record["row"]), (2, None))
        (self.folder / run.file_name(TRACE)).write_text(json.dumps(record))
        self.assertIn("| nonsense | failed, exit 2: evenkeel: --strategies: strategy 'nonsense' is unknown", render_table(table, TRACE, self.folder))

    def test_messages_name_files_without_their_folders(self):
        absent = self.folder / "absent.npz"
        record = execute(Run(Table("absent", 8, threads=None), "eplb"), TRACE, [absent])
        self.assertIn("absent.npz", record["message"])
        self.assertNotIn(str(self.folder), record["message"])

    def test_every_run_of_the_list_has_a_record_of_its_own(self):
        names = [run.file_name(results.TRACES[table.trace]) for table in results.TABLES for run in table.runs()]
        self.assertEqual(len(names), len(set(names)))
        self.assertLess(max(map(len, names)), 255)

    def test_an_ablation_names_what_is_left_out(self):
        run = Table("day", 8, without=("metis,glpk",)).runs()[0]
        self.assertEqual(run.label(), "evenkeel without metis and glpk")
        self.assertEqual(run.options(TRACE)[-2:], ["--without", "metis,glpk"])

    def test_popularity_a_subject_is_summed(self):
        files = [self.folder / "a.json", self.folder / "b.json"]
        for file, count in zip(files, (1, 10)):
            file.write_text(json.dumps({"total_input_tokens": 5, "expert_popularity": [[count, 2 * count], [0, count]]}))
        summed, = readable(files, "key", self.folder)
        self.assertEqual(json.loads(summed.read_text()), {"logical_count": [[11, 22], [0, 11]]})


class Markdown(unittest.TestCase):
    def test_dispatch_shows_gpus_touched_and_loads_no_communication(self):
        names = [name for name, _ in columns(Table("day", 8, comm="dispatch"), TRACE)]
        self.assertIn("GPUs/token, out", names)
        names = [name for name, _ in columns(Table("day", 8), Trace("counts", "counts.json", 1, has_paths=False))]
        self.assertEqual(names, ["status", "solve s", "imbalance", "value", "bound", "gap"])

    def test_a_strategy_that_did_not_finish_has_dashes(self):
        row = {"status": "time_limit", "solve_seconds": None, "in_sample": None, "held_out": None, "certificate": None}
        shown = columns(Table("day", 8), TRACE)
        self.assertEqual(cells({"row": row}, shown), ["time_limit"] + ["-"] * (len(shown) - 1))

    def test_splice_replaces_only_what_is_between_the_markers(self):
        self.assertEqual(splice("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n", "new", "x"),
                         "a\n<!-- x:begin -->\n\nnew\n<!-- x:end -->\nb\n")
        with self.assertRaises(ValueError):
            splice("no markers", "new")

    def test_the_document_has_its_markers(self):
        splice((pathlib.Path(results.ROOT) / "docs/results.md").read_text(), "")


if __name__ == "__main__":
    unittest.main()
