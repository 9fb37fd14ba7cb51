#include "pipeline/engine/placement_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "pipeline/engine/layer_ranges.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::placement_file_test {
namespace {

using testing::TemporaryFolder;

const ModelShape kShape{{1, 2}, 4, 4};

Placement small() {
  Placement::Fields fields{{1, 2}, 4, 1, {3, 3}, Grid<ExpertIndex>(2, 6), std::nullopt};
  for (std::size_t layer = 0; layer < 2; ++layer) {
    for (std::size_t slot = 0; slot < 6; ++slot)
      fields.expert_of_slot(layer, slot) = static_cast<ExpertIndex>((slot + layer) % 4);
  }
  return *Placement::create(fields);
}

TEST(PlacementFile, comes_back_from_every_format_as_it_was) {
  const TemporaryFolder folder;
  ASSERT_EQ(placement_format_names().size(), 6U);
  for (const std::string& name : placement_format_names()) {
    const auto text = placement_text(small(), *placement_format(name), kShape);
    ASSERT_TRUE(text) << name;
    const auto back = read_placement(folder.write("p.map", *text), kShape, 2, 1);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, small()) << name;
  }
}

TEST(PlacementFile, is_written_as_each_engine_documents_it) {
  const std::string rows = "[0,1,2,3,0,1]", next = "[1,2,3,0,1,2]";
  EXPECT_EQ(*placement_text(small(), PlacementFormat::kVllm, kShape),
            R"({"record_type":"eplb_initial_mapping","version":1,"num_redundant_experts":2,"num_slots":6,)"
            R"("initial_global_assignments":{"0":)" +
                rows + R"(,"1":)" + next + "}}\n");
  EXPECT_EQ(*placement_text(small(), PlacementFormat::kVllmPr49572, kShape), "[" + rows + "," + next + "]\n");
  EXPECT_EQ(*placement_text(small(), PlacementFormat::kTrtllm, kShape),
            "initial_global_assignments:\n  1: [0, 1, 2, 3, 0, 1]\n  2: [1, 2, 3, 0, 1, 2]\nnum_slots: 6\n"
            "layer_updates_per_iter: 0\n");
  EXPECT_EQ(*placement_text(small(), PlacementFormat::kAscend, kShape),
            R"({"moe_layer_count":2,"layer_list":[{"layer_id":0,"device_count":2,"device_list":[)"
            R"({"device_id":0,"device_expert":[0,1,2]},{"device_id":1,"device_expert":[3,0,1]}]},)"
            R"({"layer_id":1,"device_count":2,"device_list":[{"device_id":0,"device_expert":[1,2,3]},)"
            R"({"device_id":1,"device_expert":[0,1,2]}]}]})"
            "\n");
}

TEST(PlacementFile, lists_what_a_format_lacks) {
  auto fields = small().fields();
  fields.nodes = 2;
  const Placement placement = *Placement::create(fields);
  const auto losses = [&](PlacementFormat format) { return placement_losses(placement, format, kShape).size(); };
  EXPECT_EQ(losses(PlacementFormat::kEvenkeel), 1U) << "four hidden layers, of which the last is dense";
  EXPECT_EQ(losses(PlacementFormat::kSglang), 3U) << "GPUs, nodes, which rows are MoE layers";
  EXPECT_EQ(losses(PlacementFormat::kVllm), 3U) << "GPUs, nodes, numbers of layers";
  EXPECT_EQ(losses(PlacementFormat::kTrtllm), 3U) << "GPUs, nodes, hidden layers";
  EXPECT_EQ(losses(PlacementFormat::kAscend), 2U) << "nodes, numbers of layers";
  EXPECT_TRUE(placement_losses(small(), PlacementFormat::kEvenkeel, {{1, 2}, 4, std::nullopt}).empty());
}

TEST(PlacementFile, without_a_model_counts_experts_and_keeps_rows_of_the_start_with_a_note) {
  const TemporaryFolder folder;
  const auto path = folder.write("p.json", R"({"physical_to_logical_map":[[0,1,2,0],[2,1,0,1],[0,1,2,0]]})");
  const auto file = read_placement_file(path, {{}, std::nullopt, 2, 1});
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->placement.experts(), 3U);
  EXPECT_EQ(file->placement.fields().layer_ids, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(file->hidden_layers, 3U);
  ASSERT_EQ(file->notes.size(), 1U);
  EXPECT_NE(file->notes[0].text.find("rows 0,2"), std::string::npos);
}

TEST(PlacementFile, of_other_layers_than_the_trace_is_refused) {
  const TemporaryFolder folder;
  const auto sglang = folder.write("p.json", R"({"physical_to_logical_map":[[0,1],[1,0],[1,0]]})");
  const auto read = [&](std::vector<int> layers, std::optional<std::size_t> hidden) {
    return read_placement(sglang, {std::move(layers), 2, hidden}, 2, 1);
  };
  EXPECT_TRUE(read({1, 2}, 3)) << "layer ids make the mapping certain";
  EXPECT_TRUE(read({1, 2}, std::nullopt));
  EXPECT_TRUE(read({0, 1, 2}, std::nullopt));
  EXPECT_FALSE(read({0, 1}, std::nullopt)) << "these may be any two of the three";
  EXPECT_FALSE(read({0, 1}, 2));
  EXPECT_FALSE(read({1, 2}, 4));
  const auto list = folder.write("v.json", "[[0,1],[1,0]]");
  EXPECT_TRUE(read_placement(list, {{4, 7}, 2, 9}, 2, 1));
  const auto refused = read_placement(list, {{4, 5, 7}, 2, 9}, 2, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(refused.error().message.find("2 layers but 3 MoE layers"), std::string::npos) << refused.error().message;
}

TEST(LayerRanges, come_back_as_they_were) {
  for (const char* text : {"0", "3-60", "0,2,4-7", "9998-9999"})
    EXPECT_EQ(layer_ranges_text(*parse_layer_ranges(text)), text);
  EXPECT_EQ(*parse_layer_ranges("1,2,3-3"), (std::vector<int>{1, 2, 3}));
  for (const char* text : {"", ",", "3,", "5-3", "3,3", "2-4,4", "-1", "1--2", "10000", "a", "1 2"})
    EXPECT_FALSE(parse_layer_ranges(text)) << text;
}

TEST(PlacementFile, of_sglang_has_its_one_key_and_a_row_for_every_hidden_layer) {
  const auto json = nlohmann::json::parse(*placement_text(small(), PlacementFormat::kSglang, kShape));
  EXPECT_EQ(json.size(), 1U);
  const auto& rows = json.at("physical_to_logical_map");
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0], (std::vector<int>{0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(rows[2], (std::vector<int>{1, 2, 3, 0, 1, 2}));
}

TEST(PlacementFile, of_our_own_keeps_unequal_slots_and_shares) {
  auto fields = small().fields();
  fields.slots_of_gpu = {4, 2};
  fields.shares = Grid<double>(2, 6, 0.5);
  (*fields.shares)(0, 2) = (*fields.shares)(0, 3) = 1.0;  // experts with one copy
  (*fields.shares)(1, 1) = (*fields.shares)(1, 2) = (*fields.shares)(1, 3) = 0.5;
  fields.shares->cells()[6 + 0] = 0.25;
  fields.shares->cells()[6 + 4] = 0.75;
  fields.shares->cells()[6 + 1] = 0.5;
  fields.shares->cells()[6 + 5] = 0.5;
  fields.shares->cells()[6 + 2] = 1.0;
  fields.shares->cells()[6 + 3] = 1.0;
  const auto placement = Placement::create(fields);
  ASSERT_TRUE(placement) << placement.error().message;
  const TemporaryFolder folder;
  const auto back = read_placement(
      folder.write("p.json", *placement_text(*placement, PlacementFormat::kEvenkeel, kShape)), kShape, 2, 1);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, *placement);
  EXPECT_EQ(placement_text(*placement, PlacementFormat::kSglang, kShape).error().code, ErrorCode::kInfeasible);
}

TEST(PlacementFile, refuses_what_it_cannot_mean) {
  const TemporaryFolder folder;
  const std::string good = *placement_text(small(), PlacementFormat::kEvenkeel, kShape);
  const auto with = [&](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(good);
    json[key] = value;
    return folder.write("p.json", json.dump());
  };
  EXPECT_TRUE(read_placement(with("nodes", 2), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("nodes", 3), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("schema", "evenkeel.placement/9"), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("experts", -4), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("layer_ids", {2, 1}), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("slots", {6}), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("shares", {{1.0}}), kShape, 2, 1));
  EXPECT_FALSE(read_placement(with("physical_to_logical_map", {{0, 1, 2, 3, 0, 1}, {0, 1, 2}}), kShape, 2, 1));
  EXPECT_FALSE(
      read_placement(with("physical_to_logical_map", {{0, 1, 2, 3, 0, 1.5}, {0, 1, 2, 3, 0, 1}}), kShape, 2, 1));
  const auto unknown = read_placement(with("layer_id", 1), kShape, 2, 1);
  EXPECT_NE(unknown.error().message.find("did you mean 'layer_ids'?"), std::string::npos);
  EXPECT_FALSE(
      read_placement(folder.write("s.json", R"({"physical_to_logical_map": [[0,1,2,3]], "x": 1})"), kShape, 2, 1));
  EXPECT_FALSE(read_placement(folder.write("s.json", R"({"physical_to_logical_map": [[0,1,2,3]]})"), kShape, 2, 1))
      << "a row only";
}

}  // namespace
}  // namespace evenkeel::placement_file_test
