"""SGLang's recordings as PyTorch writes them, against what the reader hands on, number for number."""

import json
import os
import subprocess
import unittest

from harness import BIN, CommandTest, skip_file

try:
    import torch
except ImportError:
    torch = None

LAYERS, EXPERTS, SLOTS = 3, 6, 8


def counts(*shape, dtype=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 1000, shape, generator=generator).to(dtype or torch.int32)


def physical_map(seed=1):
    """Every expert once, two of them twice, in another order a layer."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(LAYERS):
        row = torch.cat([torch.arange(EXPERTS), torch.randperm(EXPERTS, generator=generator)[:SLOTS - EXPERTS]])
        rows.append(row[torch.randperm(SLOTS, generator=generator)])
    return torch.stack(rows)


def logical_counts(physical, table):
    """Counts [layers][experts] of counts [layers, slots]."""
    result = [[0] * EXPERTS for _ in range(LAYERS)]
    for layer in range(LAYERS):
        for slot in range(SLOTS):
            result[layer][int(table[layer, slot])] += int(physical[layer, slot])
    return result


def added(grids):
    return [[sum(cells) for cells in zip(*rows)] for rows in zip(*grids)]


def token_ids(tokens, columns, table, seed):
    """Physical ids [layers, tokens, 8]: slots of distinct experts in the first `columns`, -1 beyond; layer 0 is dense."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((LAYERS, tokens, 8), -1, dtype=torch.int32)
    for layer in range(1, LAYERS):
        slots = [(table[layer] == expert).nonzero().flatten().tolist() for expert in range(EXPERTS)]
        for token in range(tokens):
            for column, expert in enumerate(torch.randperm(EXPERTS, generator=generator)[:columns].tolist()):
                ids[layer, token, column] = slots[expert][token % len(slots[expert])]
    return ids


def token_record(pass_id, rank, mode, ids, lengths):
    tokens = ids.shape[1]
    return {"forward_pass_id": pass_id, "rank": rank, "gatherer_key": "primary", "input_ids": list(range(70000, 70000 + tokens)),
            "positions": list(range(tokens)), "extend_seq_lens": lengths, "forward_mode": mode, "topk_ids_of_layer": ids,
            "misc_objects": [{"layer_id": 1, "num_tokens_per_rank": [tokens, 0]}]}


@unittest.skipIf(torch is None, "python3-torch is not installed")
class SglangRecordings(CommandTest):
    def save(self, name, content):
        path = self.folder / name
        torch.save(content, path)
        return path

    def save_stat(self, name, logical_count, rate=None):
        return self.save(name, {"rank": 0, "logical_count": logical_count, "average_utilization_rate_over_window": rate})

    def dump(self, *paths):
        return subprocess.run([BIN / "dump_recording", *map(str, paths)], capture_output=True, text=True, timeout=300)

    def read(self, *paths):
        """Header, windows and sequences (label, ids) of a recording."""
        result = self.dump(*paths)
        self.assertEqual(result.returncode, 0, result.stderr)
        header, windows, sequences, ends = None, [], [], 0
        for line in map(json.loads, result.stdout.splitlines()):
            if "begin" in line:
                header = line
            elif "loads" in line:
                windows.append(line["loads"])
            elif "sequence" in line:
                sequences.append((line["sequence"], []))
            elif "tokens" in line:
                sequences[-1][1].extend(line["tokens"])
            else:
                ends += 1
        self.assertEqual(ends, 1)
        return header, windows, sequences

    def refuse(self, expected, *paths):
        result = self.dump(*paths)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        for words in expected:
            self.assertIn(words, result.stderr)

    # stat and stat_approx.
    def test_stat(self):
        tensor = counts(5, LAYERS, EXPERTS)
        tensor[:, 0] = 0
        tensor[2] = 0
        for dtype in (torch.int32, torch.int64, torch.float32):
            header, windows, sequences = self.read(self.save_stat("a.pt", tensor.to(dtype), 0.75))
            self.assertEqual(windows, [tensor[step].tolist() for step in (0, 1, 3, 4)])
            self.assertEqual(sequences, [])
            self.assertEqual((header["layer_ids"], header["hidden_layers"], header["experts"]), ([0, 1, 2], LAYERS, EXPERTS))
            self.assertTrue(header["has_loads"])

    def test_stat_of_several_files(self):
        first, second = counts(2, LAYERS, EXPERTS), counts(1, LAYERS, EXPERTS, seed=2)
        paths = [self.save_stat("b.pt", first), self.save_stat("a.pt", second)]
        self.assertEqual(self.read(*paths)[1], first.tolist() + second.tolist())

    def test_views(self):
        base = counts(7, EXPERTS + 3, LAYERS + 2)
        for view in (base.transpose(1, 2)[2:6, 1:-1, 2:-1], base[::2].permute(0, 2, 1), base.permute(2, 1, 0)):
            self.assertFalse(view.is_contiguous())
            self.assertEqual(self.read(self.save_stat("a.pt", view))[1], view.tolist())

    def test_views_that_share_a_storage(self):
        base = counts(4, LAYERS, SLOTS)
        table = physical_map()
        records = [{"forward_pass_id": i, "rank": 0, "gatherer_key": "primary", "global_physical_count": base[i]} for i in (3, 1, 0, 2)]
        path = self.save("a_0.pt", {"records": records, "last_physical_to_logical_map": table})
        self.assertEqual(self.read(path)[1], [logical_counts(base[i], table) for i in range(4)])

    def test_repeated_tensor_is_refused(self):
        self.refuse(["a.pt: logical_count", "contiguous()"], self.save_stat("a.pt", counts(1, LAYERS, 1).expand(9, LAYERS, EXPERTS)))

    # per_pass.
    def test_per_pass_over_ranks(self):
        table = physical_map()
        by_rank = [{pass_id: counts(LAYERS, SLOTS, dtype=dtype, seed=10 * rank + pass_id) for pass_id in (12, 5, 700)}
                   for rank, dtype in enumerate((torch.int32, torch.int64, torch.int32))]
        paths = []
        for rank, passes in enumerate(by_rank):
            records = [{"forward_pass_id": pass_id, "rank": rank, "gatherer_key": "primary", "global_physical_count": tensor}
                       for pass_id, tensor in passes.items()]
            paths.append(self.save(f"r_{rank}.pt", {"records": records, "last_physical_to_logical_map": table}))
        header, windows, _ = self.read(*reversed(paths))
        self.assertEqual(windows, [added([logical_counts(passes[pass_id], table) for passes in by_rank]) for pass_id in (5, 12, 700)])
        self.assertEqual(header["experts"], EXPERTS)
        self.refuse(["pass 5 of rank 0", "one server run"], paths[0], paths[0])

    def test_many_records(self):
        # More than 255 remembered values, hence the long forms of the pickle's instructions.
        table = physical_map()
        tensors = [counts(LAYERS, SLOTS, seed=i) for i in range(400)]
        records = [{"forward_pass_id": 100000 + i, "rank": 0, "gatherer_key": "primary", "global_physical_count": tensor}
                   for i, tensor in enumerate(tensors)]
        windows = self.read(self.save("a_0.pt", {"records": records, "last_physical_to_logical_map": table}))[1]
        self.assertEqual(windows, [logical_counts(tensor, table) for tensor in tensors])

    # per_token.
    def expect_tokens(self, ids, table, top_k):
        """As the sink gets them: [tokens, layers, top_k] of logical ids, 65535 for none."""
        return [int(table[layer, ids[layer, token, column]]) if ids[layer, token, column] >= 0 else 65535
                for token in range(ids.shape[1]) for layer in range(LAYERS) for column in range(top_k)]

    def test_per_token(self):
        table = physical_map()
        prefill, decode, mixed, idle = (token_ids(tokens, columns, table, tokens) for tokens, columns in ((5, 2), (3, 2), (4, 1), (0, 0)))
        paths = [self.save("r_0.pt", {"records": [token_record(20, 0, 2, decode, None), token_record(10, 0, 1, prefill, [2, 3]),
                                                  token_record(30, 0, 4, idle, None)],
                                      "last_physical_to_logical_map": table}),
                 self.save("r_1.pt", {"records": [token_record(10, 1, 3, mixed, [1, 3])], "last_physical_to_logical_map": table})]
        header, windows, sequences = self.read(*paths)
        self.assertEqual((header["top_k"], header["has_loads"], header["layer_of_round"]), (2, False, [0, 1, 2]))
        self.assertEqual(windows, [])
        expected = [({"window": 0, "stage": "prefill"}, self.expect_tokens(prefill[:, :2], table, 2)),
                    ({"window": 0, "stage": "prefill"}, self.expect_tokens(prefill[:, 2:], table, 2)),
                    ({"window": 0, "stage": "mixed"}, self.expect_tokens(mixed[:, :1], table, 2)),
                    ({"window": 0, "stage": "mixed"}, self.expect_tokens(mixed[:, 1:], table, 2)),
                    ({"window": 1, "stage": "decode"}, self.expect_tokens(decode, table, 2))]
        self.assertEqual(sequences, expected)

    def test_per_token_as_a_view_of_a_wider_buffer(self):
        table = physical_map(2)
        buffer = token_ids(3000, 4, table, 5)
        path = self.save("r_0.pt", {"records": [token_record(1, 0, 1, buffer[:, 100:2900], [2800])], "last_physical_to_logical_map": table})
        _, _, sequences = self.read(path)
        self.assertEqual(len(sequences), 1)
        self.assertEqual(sequences[0][1], self.expect_tokens(buffer[:, 100:2900], table, 4))

    # What is not a recording.
    def test_modes_together(self):
        stat = self.save_stat("stat.pt", counts(1, LAYERS, EXPERTS))
        detail = self.save("pass.pt", {"records": [{"forward_pass_id": 1, "rank": 0, "gatherer_key": "primary",
                                                    "global_physical_count": counts(LAYERS, SLOTS)}],
                                       "last_physical_to_logical_map": physical_map()})
        self.refuse(["stat.pt", "pass.pt", "one mode"], stat, detail)

    def test_foreign_code_is_not_run(self):
        marker = self.folder / "marker"

        class Attack:
            def __reduce__(self):
                return os.system, (f"touch {marker}",)

        for content in (Attack(), {"rank": 0, "logical_count": Attack()}, {"records": [Attack()]}):
            self.refuse(["a.pt: data.pkl byte", "posix.system", "never run"], self.save("a.pt", content))
        self.assertFalse(marker.exists())

    def test_unknown_types(self):
        self.refuse(["torch.ComplexFloatStorage"], self.save_stat("a.pt", torch.ones(1, 1, 1, dtype=torch.complex64)))
        self.refuse(["_rebuild_parameter"], self.save_stat("a.pt", torch.nn.Parameter(torch.ones(1, 1, 1))))

    def test_bad_counts(self):
        for value in (float("nan"), float("inf"), -1.0, 0.5):
            tensor = torch.ones(2, LAYERS, EXPERTS, dtype=torch.float64)
            tensor[1, 2, 3] = value
            self.refuse(["logical_count[1, 2, 3] is"], self.save_stat("a.pt", tensor))

    def test_truncated(self):
        whole = self.save_stat("whole.pt", counts(5, LAYERS, EXPERTS)).read_bytes()
        for length in range(0, len(whole), 97):
            cut = self.folder / "cut.pt"
            cut.write_bytes(whole[:length])
            self.refuse(["cut.pt"], cut)

    def test_corrupted(self):
        path = self.save_stat("a.pt", counts(50, LAYERS, EXPERTS))
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 1
        path.write_bytes(whole)
        self.refuse(["a.pt", "damaged"], path)

    def test_old_torch_format(self):
        path = self.folder / "old.pt"
        torch.save({"rank": 0}, path, _use_new_zipfile_serialization=False)
        self.refuse(["old.pt"], path)


if __name__ == "__main__":
    if torch is None:
        skip_file("python3-torch is not installed")
    unittest.main()
