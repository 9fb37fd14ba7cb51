"""Made-up traces, and models by name."""

import itertools
import json
import unittest

import numpy

from harness import DAY, CommandTest, run


class Synth(CommandTest):
    def trace(self, name, *args):
        path = self.folder / name
        self.succeed("synth", *args, "-o", path)
        return path

    def refuse(self, expected, *args):
        before = sorted(self.folder.iterdir())
        result = run(*args)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        for words in expected:
            self.assertIn(words, result.stderr)
        self.assertEqual(sorted(self.folder.iterdir()), before)

    def test_says_what_it_wrote(self):
        result = self.succeed("synth", "--model", "deepseek-v2-lite", "--tokens", 3000, "-o", self.folder / "t.npz")
        self.assertRegex(result.stdout, r"^wrote .*t\.npz \(3000 tokens in \d+ sequences, 26 layers of 64 experts, top-6\)\n$")
        self.assertEqual(result.stderr, "")

    def test_arrays_are_those_of_the_format(self):
        with numpy.load(self.trace("t.npz", "--model", "deepseek-v3", "--tokens", 2000, "--windows", 4)) as arrays:
            ids, start = arrays["ids"], arrays["seq_start"]
            self.assertEqual((ids.shape, ids.dtype), ((2000, 58, 8), numpy.uint8))
            self.assertEqual((start[0], start[-1]), (0, 2000))
            self.assertEqual(list(arrays["layer_ids"]), list(range(3, 61)))
            self.assertEqual(list(arrays["experts"]), [256])
            self.assertEqual(set(arrays["window"]), {0, 1, 2, 3})
            self.assertLessEqual(set(arrays["stage"]), {b"prefill", b"decode"})
            self.assertEqual(len(arrays["window"]), len(start) - 1)
            # DeepSeek-V3 chooses within four of its eight groups of 32.
            groups = numpy.sort(ids // 32, axis=2)
            self.assertLessEqual((1 + (numpy.diff(groups, axis=2) > 0).sum(axis=2)).max(), 4)

    def test_ids_of_many_experts_take_two_bytes(self):
        with numpy.load(self.trace("t.npz", "--layers", 1, "--experts", 300, "--top-k", 2, "--tokens", 2000)) as arrays:
            self.assertEqual(arrays["ids"].dtype, numpy.uint16)
            self.assertGreater(arrays["ids"].max(), 255)

    def test_a_seed_gives_the_same_bytes_on_one_and_two_threads(self):
        shape = ("--layers", 3, "--experts", 16, "--top-k", 2, "--tokens", 5000)
        one = self.trace("1.npz", *shape, "--seed", 7, "--threads", 1).read_bytes()
        self.assertEqual(self.trace("2.npz", *shape, "--seed", 7, "--threads", 2).read_bytes(), one)
        self.assertNotEqual(self.trace("3.npz", *shape, "--seed", 8).read_bytes(), one)

    def test_drift_and_shift_show_in_the_loads(self):
        def distances(*args):
            shape = ("--layers", 2, "--experts", 64, "--top-k", 6, "--tokens", 120000, "--windows", 4)
            with numpy.load(self.trace("t.npz", *shape, *args)) as arrays:
                window = numpy.repeat(arrays["window"], numpy.diff(arrays["seq_start"]))
                loads = [numpy.bincount(arrays["ids"][window == w, 1].ravel(), minlength=64) for w in range(4)]
            loads = [load / load.sum() for load in loads]
            steps = [abs(a - b).sum() / 2 for a, b in itertools.pairwise(loads)]
            return steps, abs(loads[0] - loads[3]).sum() / 2
        steady, whole = distances()
        self.assertGreater(distances("--drift", 1)[1], 2 * whole)
        shifted, _ = distances("--shift-at", 2)
        self.assertEqual(max(range(3), key=lambda step: shifted[step]), 1)
        self.assertGreater(shifted[1], 2 * max(steady))

    def test_trace_of_a_model_is_placed(self):
        trace = self.trace("t.npz", "--model", "deepseek-v2-lite", "--tokens", 8000)
        placement = self.folder / "p.json"
        scores = self.json_of("partition", trace, "--model", "deepseek-v2-lite", "--gpus", 8, "--comm", "resident", "--slack", 0.02, "--time", "1s", "-o", placement, "--json")
        self.assertLess(scores["in_sample"]["imbalance_mean"], 1.1)
        self.assertGreater(scores["in_sample"]["same_gpu_share"], 1.4 / 8)
        self.assertEqual(json.loads(placement.read_text())["layer_ids"], list(range(1, 27)))
        engine = self.folder / "sglang.json"
        self.succeed("partition", trace, "--model", "deepseek-v2-lite", "--gpus", 8, "--strategy", "lpt", "--format", "sglang", "-o", engine)
        self.assertEqual(len(json.loads(engine.read_text())["physical_to_logical_map"]), 27)

    def test_model_sets_groups_and_bytes(self):
        trace = self.trace("t.npz", "--model", "deepseek-v3", "--tokens", 1000)
        args = ("compare", trace, "--gpus", 16, "--nodes", 2, "--strategies", "eplb", "--json")
        plain = self.json_of(*args)
        named = self.json_of(*args, "--model", "deepseek-v3")
        self.assertEqual((plain["options"]["groups"], named["options"]["groups"]), (1, 8))
        self.assertEqual(named["options"]["model"], "deepseek-v3")
        self.assertEqual(self.json_of(*args, "--model", "deepseek-v3", "--groups", 4)["options"]["groups"], 4)
        step = named["rows"][0]["in_sample"]["step_time_seconds"]
        heavy = self.folder / "heavy.yaml"
        heavy.write_text("name: heavy\nhidden_layers: 61\ndense_layers: 0-2\nexperts: 256\ntop_k: 8\nhidden_size: 7168\nrouting_groups: 8\n"
                         "moe_intermediate_size: 2048\nweight_precision: bf16\ndispatch_bytes: 7168\n")
        self.assertGreater(self.json_of(*args, "--model", heavy)["rows"][0]["in_sample"]["step_time_seconds"], 1.2 * step)

    def test_model_that_contradicts_the_trace(self):
        for model, words in (("deepseek-v3", "58 MoE layers"), ("olmoe-1b-7b", "16 MoE layers")):
            self.refuse(["day.npz", "8 layers", f"model {model}", words], "compare", DAY, "--gpus", 8, "--model", model)
        self.refuse(["model deepseek-v3", "--experts is 64"], "compare", DAY, "--gpus", 8, "--model", "deepseek-v3", "--experts", 64)

    def test_loads_that_contradict_the_model(self):
        counts = self.folder / "c.json"
        counts.write_text(json.dumps({"logical_count": [[1] * 16] * 32}))
        self.refuse(["c.json", "16 experts", "model mixtral-8x7b has 8"], "compare", counts, "--gpus", 8, "--model", "mixtral-8x7b")

    def test_unknown_model(self):
        self.refuse(["'mixtral'", "did you mean 'mixtral-8x7b'?"], "compare", DAY, "--gpus", 8, "--model", "mixtral")

    def test_malformed_model_file(self):
        model = self.folder / "m.yaml"
        model.write_text("name: m\nexpert: 8\n")
        self.refuse(["m.yaml", "unknown key 'expert'", "did you mean 'experts'?"], "compare", DAY, "--gpus", 8, "--model", model)

    def test_arguments_that_make_no_trace(self):
        out = ("-o", self.folder / "t.npz")
        shape = ("--layers", 2, "--experts", 8)
        self.refuse(["--model NAME"], "synth", *out)
        self.refuse(["--top-k is 9", "--experts is 8"], "synth", *shape, "--top-k", 9, *out)
        self.refuse(["one or the other"], "synth", "--model", "mixtral-8x7b", *shape, *out)
        self.refuse(["drift is 0.5", "(--drift, --windows)"], "synth", *shape, "--top-k", 2, "--drift", 0.5, *out)
        self.refuse(["drift is 2", "(--drift)"], "synth", *shape, "--top-k", 2, "--windows", 2, "--drift", 2, *out)
        self.refuse(["shift_at is 0", "(--shift-at)"], "synth", *shape, "--top-k", 2, "--windows", 2, "--shift-at", 0, *out)
        self.refuse(["tokens is 0", "(--tokens)"], "synth", *shape, "--top-k", 2, "--tokens", 0, *out)
        self.refuse(["-o is -"], "synth", *shape, "--top-k", 2, "-o", "-")

    def test_output_folder_that_is_not_there(self):
        result = run("synth", "--layers", 1, "--experts", 8, "--top-k", 2, "--tokens", 100, "-o", self.folder / "none/t.npz")
        self.assertEqual(result.returncode, 1)
        self.assertIn("none/t.npz", result.stderr)


if __name__ == "__main__":
    unittest.main()
