#include "pipeline/engine/placement_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel {
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
  for (const auto format : {PlacementFormat::kEvenkeel, PlacementFormat::kSglang}) {
    const auto text = placement_text(small(), format, kShape);
    ASSERT_TRUE(text);
    const auto back = read_placement(folder.write("p.json", *text), kShape, 2, 1);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, small());
  }
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
}  // namespace evenkeel
