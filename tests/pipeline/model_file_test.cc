#include "pipeline/config/model_file.h"

#include <gtest/gtest.h>

#include <numeric>

#include "partition/cost/model_step_time.h"
#include "pipeline/trace/model_recording.h"
#include "pipeline/trace/trace.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::model_file_test {
namespace {

using testing::TemporaryFolder;

constexpr const char* kSmall =
    "name: small\nhidden_layers: 6\ndense_layers: [0, 4-5]\nexperts: 16\ntop_k: 2\nhidden_size: 10\n"
    "moe_intermediate_size: 20\nweight_precision: fp8\n";

struct Shape {
  const char* name;
  std::size_t hidden_layers, moe_layers;
  int first_moe_layer;
  std::size_t experts, top_k, routing_groups, groups_chosen, shared_experts;
  double expert_megabytes;
};

class BundledModels : public ::testing::TestWithParam<Shape> {};

TEST_P(BundledModels, have_their_published_shape) {
  const Shape& shape = GetParam();
  const auto model = read_model(shape.name);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->name, shape.name);
  EXPECT_EQ(model->hidden_layers, shape.hidden_layers);
  EXPECT_EQ(model->moe_layer_ids.size(), shape.moe_layers);
  EXPECT_EQ(model->moe_layer_ids.front(), shape.first_moe_layer);
  EXPECT_EQ(model->experts, shape.experts);
  EXPECT_EQ(model->top_k, shape.top_k);
  EXPECT_EQ(model->routing_groups, shape.routing_groups);
  EXPECT_EQ(model->groups_chosen, shape.groups_chosen);
  EXPECT_EQ(model->shared_experts, shape.shared_experts);
  EXPECT_NEAR(model->expert_bytes / 1e6, shape.expert_megabytes, 0.005);
  EXPECT_EQ(model->rounds(), shape.moe_layers);
}

INSTANTIATE_TEST_SUITE_P(Every, BundledModels,
                         ::testing::Values(Shape{"deepseek-v2-lite", 27, 26, 1, 64, 6, 1, 1, 2, 17.30},
                                           Shape{"deepseek-v3", 61, 58, 3, 256, 8, 8, 4, 1, 44.04},
                                           Shape{"glm-4.5", 92, 89, 3, 160, 8, 1, 1, 1, 47.19},
                                           Shape{"gpt-oss-120b", 36, 36, 0, 128, 4, 1, 1, 0, 13.22},
                                           Shape{"gpt-oss-20b", 24, 24, 0, 32, 4, 1, 1, 0, 13.22},
                                           Shape{"kimi-k2", 61, 60, 1, 384, 8, 1, 1, 1, 44.04},
                                           Shape{"llama-4-maverick", 48, 24, 1, 128, 1, 1, 1, 1, 251.66},
                                           Shape{"llama-4-scout", 48, 48, 0, 16, 1, 1, 1, 1, 251.66},
                                           Shape{"mixtral-8x7b", 32, 32, 0, 8, 2, 1, 1, 0, 352.32},
                                           Shape{"olmoe-1b-7b", 16, 16, 0, 64, 8, 1, 1, 0, 12.58},
                                           Shape{"qwen3-235b-a22b", 94, 94, 0, 128, 8, 1, 1, 0, 37.75},
                                           Shape{"qwen3-30b-a3b", 48, 48, 0, 128, 8, 1, 1, 0, 9.44}));

TEST(BundledModels, are_all_held_against_their_published_shape) { EXPECT_EQ(bundled_model_names().size(), 12U); }

TEST(BundledModels, interleave_their_dense_layers) {
  const auto model = read_model("llama-4-maverick");
  ASSERT_TRUE(model);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(model->moe_layer_ids[i], static_cast<int>(2 * i + 1));
}

TEST(ModelFile, takes_lists_and_ranges_of_dense_layers_and_derives_bytes) {
  const TemporaryFolder folder;
  const auto model = read_model(folder.write("m.yaml", kSmall).string());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->moe_layer_ids, (std::vector<int>{1, 2, 3}));
  EXPECT_DOUBLE_EQ(model->expert_bytes, 3 * 10 * 20);
  EXPECT_DOUBLE_EQ(model->dispatch_bytes, 20);
  EXPECT_DOUBLE_EQ(model->combine_bytes, 20);
}

TEST(ModelFile, lets_bytes_be_given) {
  const TemporaryFolder folder;
  const auto model = read_model(
      folder.write("m.yaml", std::string(kSmall) + "expert_bytes: 5e6\ndispatch_bytes: 10\nrounds_per_layer: 2\n")
          .string());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_DOUBLE_EQ(model->expert_bytes, 5e6);
  EXPECT_DOUBLE_EQ(model->dispatch_bytes, 10);
  EXPECT_EQ(model->rounds(), 6U);
}

void expect_refusal(const std::string& text, const std::string& words) {
  const TemporaryFolder folder;
  const auto model = read_model(folder.write("m.yaml", text).string());
  ASSERT_FALSE(model) << text;
  EXPECT_EQ(model.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(model.error().message.find("m.yaml: "), std::string::npos) << model.error().message;
  EXPECT_NE(model.error().message.find(words), std::string::npos) << model.error().message;
}

TEST(ModelFile, says_what_is_wrong_with_a_malformed_one) {
  const std::string small = kSmall;
  expect_refusal(small + "expert: 4\n", "unknown key 'expert'; did you mean 'experts'?");
  expect_refusal("name: m\n", "key 'experts' is missing");
  expect_refusal("experts: 4\n", "key 'name' is missing");
  expect_refusal(small + "experts: 8\n", "key 'experts' is set twice");
  expect_refusal(small + "null_experts: -1\n", "key 'null_experts' is '-1'");
  expect_refusal(small + "routing_groups: 3\n", "does not divide 16 experts");
  expect_refusal(small + "routing_groups: 16\ngroups_chosen: 1\n", "fewer than top_k 2");
  expect_refusal(small + "routing_groups: 4\ngroups_chosen: 5\n", "give a number from 1 to 4");
  expect_refusal(small + "expert_bytes: 0\n", "key 'expert_bytes' is 0");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = small;
    return text.replace(text.find(from), from.size(), to);
  };
  expect_refusal(changed("top_k: 2", "top_k: 17"), "key 'top_k' is 17 but there are 16 experts");
  expect_refusal(changed("[0, 4-5]", "[0, 4-6]"), "holds '4-6'; give numbers from 0 to 5");
  expect_refusal(changed("[0, 4-5]", "5-4"), "holds '5-4'");
  expect_refusal(changed("[0, 4-5]", "first"), "holds 'first'");
  expect_refusal(changed("[0, 4-5]", "[[0]]"), "not a single value or a list of them");
  expect_refusal(changed("[0, 4-5]", "0-5"), "all 6 layers");
  expect_refusal(changed("experts: 16", "experts: [16]"), "not a single value; give one");
  expect_refusal(changed("fp8", "fp7"), "key 'weight_precision' is 'fp7'");
  expect_refusal(changed("name: small\n", ""), "key 'name' is missing");
}

TEST(ModelFile, names_the_nearest_model_for_an_unknown_one) {
  const auto model = read_model("deepseek-v4");
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("'deepseek-v4' is unknown; did you mean 'deepseek-v3'?"), std::string::npos)
      << model.error().message;
}

TEST(StepTimeOfModel, has_the_defaults_for_deepseek_v3) {
  const auto model = read_model("deepseek-v3");
  ASSERT_TRUE(model);
  const StepTimeModel step_time = step_time_model(*model);
  const StepTimeModel defaults;
  EXPECT_NEAR(step_time.expert_bytes, defaults.expert_bytes, 0.01 * defaults.expert_bytes);
  EXPECT_NEAR(step_time.compute_per_token.count(), defaults.compute_per_token.count(), 0.002);
  EXPECT_NEAR(step_time.compute_per_expert.count(), defaults.compute_per_expert.count(), 0.2);
  EXPECT_DOUBLE_EQ(step_time.dispatch_bytes, defaults.dispatch_bytes);
  EXPECT_DOUBLE_EQ(step_time.combine_bytes, defaults.combine_bytes);
}

RecordingHeader header_of(std::vector<int> layer_ids, std::size_t top_k) {
  RecordingHeader header{std::move(layer_ids), std::nullopt, std::nullopt, top_k, {}, top_k == 0};
  header.layer_of_round.resize(top_k == 0 ? 0 : header.layer_ids.size());
  std::iota(header.layer_of_round.begin(), header.layer_of_round.end(), 0U);
  return header;
}

ModelSpec small_model() {
  const TemporaryFolder folder;
  return *read_model(folder.write("m.yaml", kSmall).string());
}

TEST(ModelOfRecording, may_have_dense_layers_beside_its_own) {
  EXPECT_TRUE(check_model("t", header_of({1, 2, 3}, 2), small_model()));
  EXPECT_TRUE(check_model("t", header_of({0, 1, 2, 3, 4, 5}, 2), small_model()));
  EXPECT_TRUE(check_model("t", header_of({0, 1, 2, 3, 4, 5}, 0), small_model()));
}

TEST(ModelOfRecording, is_named_beside_the_recording_where_they_differ) {
  const ModelSpec model = small_model();
  RecordingHeader experts = header_of({1, 2, 3}, 2);
  experts.experts = 8;
  RecordingHeader rounds = header_of({1, 2, 3}, 2);
  rounds.layer_of_round.push_back(0);
  RecordingHeader hidden = header_of({1, 2, 3}, 0);
  hidden.hidden_layers = 7;
  const std::pair<RecordingHeader, std::string> wrong[] = {
      {header_of({1, 2}, 2), "t.npz: it has 2 MoE layers (1 to 2) but model small has 3 MoE layers (1 to 3)"},
      {header_of({1, 2, 3, 6}, 2), "4 MoE layers"},
      {header_of({1, 2, 3}, 4), "it has top-4 but model small has top-2"},
      {experts, "it has 8 experts but model small has 16"},
      {rounds, "it has 2 rounds in layer 1 but model small has 1 a layer"},
      {hidden, "it has 7 layers but model small has 6"}};
  for (const auto& [header, words] : wrong) {
    const Status status = check_model("t.npz", header, model);
    ASSERT_FALSE(status) << words;
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
  }
}

TEST(ModelOfRecording, tells_how_to_read_it) {
  const ReadOptions options = read_options(small_model());
  EXPECT_EQ(options.experts, 16U);
  EXPECT_EQ(options.null_experts, 0U);
  EXPECT_EQ(options.moe_layer_ids, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(options.hidden_layers, 6U);
  EXPECT_EQ(options.rounds_per_layer, 1U);
}

TEST(ModelOfRecording, numbers_rows_that_have_no_numbers) {
  const TemporaryFolder folder;
  const auto archive = testing::write_npz(
      folder, "t.npz",
      {{"ids", testing::npy("|u1", "(1, 3, 2)", testing::bytes_of<std::uint8_t>({0, 1, 2, 3, 4, 8}))}});
  const auto trace = read_trace(archive, read_options(small_model()));
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->shape.layer_ids, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(trace->shape.experts, 16U);
  EXPECT_EQ(trace->shape.hidden_layers, 6U);
}

}  // namespace
}  // namespace evenkeel::model_file_test
