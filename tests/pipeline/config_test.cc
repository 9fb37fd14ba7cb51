#include <gtest/gtest.h>

#include "pipeline/config/cluster_file.h"
#include "pipeline/config/strict_yaml.h"
#include "pipeline/config/yaml_document.h"
#include "pipeline/flags/nearest.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::config_test {
namespace {

using testing::TemporaryFolder;

TEST(ClusterFile, reads_what_is_set_and_keeps_the_defaults) {
  const TemporaryFolder folder;
  const auto cluster =
      read_cluster(folder.write("c.yaml", "gpus: 16\nnodes: 2\ninter_node:\n  bandwidth_gb_per_s: 25\n"));
  ASSERT_TRUE(cluster) << cluster.error().message;
  ASSERT_EQ(cluster->size(), 1U);
  EXPECT_EQ(cluster->front().cluster.gpus, 16U);
  EXPECT_DOUBLE_EQ(cluster->front().cluster.inter_node.bandwidth_gb_per_s, 25);
  EXPECT_DOUBLE_EQ(cluster->front().cluster.intra_node.bandwidth_gb_per_s, 450);
  EXPECT_TRUE(cluster->front().cluster.is_uniform());
  EXPECT_TRUE(cluster->front().layers.empty());
}

TEST(ClusterFile, reads_a_value_for_all_gpus_or_one_for_each) {
  const TemporaryFolder folder;
  const auto groups =
      read_cluster(folder.write("c.yaml", "gpus: 4\nspeeds: [3x1, 0.5]\nslots: 9\nmemory_gb: [1, 2, 3, 4]\n"));
  ASSERT_TRUE(groups) << groups.error().message;
  const Cluster& cluster = groups->front().cluster;
  EXPECT_EQ(cluster.speeds, (std::vector{1.0, 1.0, 1.0, 0.5}));
  EXPECT_EQ(cluster.slots, std::vector<std::uint32_t>(4, 9));
  EXPECT_EQ(cluster.memory_gb, (std::vector{1.0, 2.0, 3.0, 4.0}));
}

TEST(ClusterFile, refuses_values_that_do_not_go_with_the_gpus) {
  const TemporaryFolder folder;
  for (const char* text : {"speeds: [1, 1]", "speeds: [5x1]", "speeds: [0x1, 4x1]", "speeds: [2x1, 3x1]", "speeds: 0",
                           "speeds: [4x-1]", "speeds: [4xfast]", "slots: [4x1.5]", "slots: -1", "memory_gb: [4x-2]",
                           "memory_gb: .nan", "layers: 5-3", "layers: 10000", "stage: night", "name: a/b"}) {
    const auto groups = read_cluster(folder.write("c.yaml", std::string("gpus: 4\n") + text + "\n"));
    ASSERT_FALSE(groups) << text;
    EXPECT_NE(groups.error().message.find("give"), std::string::npos) << groups.error().message;
  }
}

TEST(ClusterFile, reads_the_gpu_and_the_step_time) {
  const TemporaryFolder folder;
  const auto groups = read_cluster(folder.write(
      "c.yaml",
      "gpus: 4\ngpu: {memory_tb_per_s: 8, fp8_tflop_per_s: 5000, bf16_tflop_per_s: 2500, reached_ratio: 0.4}\n"
      "step_time: {compute_per_token_us: 0.1, compute_per_expert_us: 9, other_per_layer_us: 80, overlap_ratio: "
      "0.5}\n"));
  ASSERT_TRUE(groups) << groups.error().message;
  const Cluster& cluster = groups->front().cluster;
  EXPECT_EQ(cluster.gpu_spec.memory_tb_per_s, 8);
  EXPECT_EQ(cluster.gpu_spec.fp8_tflop_per_s, 5000);
  EXPECT_EQ(cluster.gpu_spec.bf16_tflop_per_s, 2500);
  EXPECT_EQ(cluster.gpu_spec.reached_ratio, 0.4);
  EXPECT_EQ(cluster.step_time.compute_per_token->count(), 0.1);
  EXPECT_EQ(cluster.step_time.compute_per_expert->count(), 9);
  EXPECT_EQ(cluster.step_time.other_per_layer.count(), 80);
  EXPECT_EQ(cluster.step_time.overlap_ratio, 0.5);
}

TEST(ClusterFile, refuses_a_step_time_out_of_range) {
  const TemporaryFolder folder;
  for (const char* text : {"gpu: {memory_tb_per_s: 0}", "gpu: {fp8_tflop_per_s: -1}", "gpu: {bf16_tflop_per_s: 1e7}",
                           "gpu: {reached_ratio: 1.5}", "step_time: {compute_per_token_us: -1}",
                           "step_time: {compute_per_expert_us: x}", "step_time: {other_per_layer_us: 1e10}",
                           "step_time: {overlap_ratio: 2}", "step_time: {overlap: 1}", "hardware: h101"}) {
    const auto groups = read_cluster(folder.write("c.yaml", std::string("gpus: 4\n") + text + "\n"));
    ASSERT_FALSE(groups) << text;
    EXPECT_NE(groups.error().message.find("c.yaml: "), std::string::npos) << groups.error().message;
  }
}

TEST(HardwarePreset, is_a_cluster_by_name) {
  EXPECT_EQ(hardware_names(), (std::vector<std::string>{"gb200-nvl72", "h100", "h200"}));
  for (const std::string& name : hardware_names()) {
    const auto groups = read_cluster(name);
    ASSERT_TRUE(groups) << groups.error().message;
    ASSERT_EQ(groups->size(), 1U);
    const Cluster& cluster = groups->front().cluster;
    EXPECT_EQ(cluster.gpus, name == "gb200-nvl72" ? 72U : 8U);
    EXPECT_EQ(cluster.intra_node.bandwidth_gb_per_s, name == "gb200-nvl72" ? 900 : 450);
    EXPECT_EQ(cluster.gpu_spec.memory_tb_per_s, name == "gb200-nvl72" ? 8 : name == "h200" ? 4.8 : 3.35);
  }
  const auto unknown = read_cluster("h20");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("cluster 'h20' is unknown; did you mean 'h200'?"), std::string::npos)
      << unknown.error().message;
}

TEST(HardwarePreset, gives_a_file_that_names_it_its_values_but_not_its_gpus) {
  const TemporaryFolder folder;
  const auto groups =
      read_cluster(folder.write("c.yaml", "hardware: gb200-nvl72\ngpus: 16\nintra_node: {latency_us: 5}\n"));
  ASSERT_TRUE(groups) << groups.error().message;
  const Cluster& cluster = groups->front().cluster;
  EXPECT_EQ(cluster.gpus, 16U);
  EXPECT_EQ(cluster.intra_node.bandwidth_gb_per_s, 900);
  EXPECT_EQ(cluster.intra_node.latency.count(), 5);
  EXPECT_EQ(cluster.gpu_spec.fp8_tflop_per_s, 5000);
  EXPECT_FALSE(read_cluster(folder.write("d.yaml", "hardware: h100\n")));
}

TEST(ClusterFile, reads_a_group_from_each_document) {
  const TemporaryFolder folder;
  const auto groups = read_cluster(folder.write(
      "c.yaml", "# two pools\n---\nname: prefill\ngpus: 4\nstage: prefill\n---\nname: decode\ngpus: 8\nlayers: 0-3\n"));
  ASSERT_TRUE(groups) << groups.error().message;
  ASSERT_EQ(groups->size(), 2U);
  EXPECT_EQ((*groups)[0].name, "prefill");
  EXPECT_EQ((*groups)[0].stage, Stage::kPrefill);
  EXPECT_EQ((*groups)[1].cluster.gpus, 8U);
  EXPECT_EQ((*groups)[1].layers, (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(ClusterFile, names_the_nearest_key_for_an_unknown_one) {
  const TemporaryFolder folder;
  const auto cluster = read_cluster(folder.write("c.yaml", "gpus: 16\nnode: 2\n"));
  ASSERT_FALSE(cluster);
  EXPECT_NE(cluster.error().message.find("unknown key 'node'; did you mean 'nodes'?"), std::string::npos)
      << cluster.error().message;
}

TEST(ClusterFile, refuses_what_is_no_cluster) {
  const TemporaryFolder folder;
  for (const char* text : {"", "- 1\n", "gpus: many\n", "gpus: -4\n", "gpus: 8\ngpus: 9\n", "gpus: [1]\n",
                           "gpus: 8\nnodes: 3\n", "gpus: {\n", "gpus: 8\nintra_node: {bandwidth_gb_per_s: 0}\n"}) {
    EXPECT_FALSE(read_cluster(folder.write("c.yaml", text))) << text;
  }
  EXPECT_FALSE(read_cluster(folder.path() / "absent.yaml"));
}

TEST(YamlDocument, is_the_json_that_it_spells) {
  const TemporaryFolder folder;
  const auto document =
      read_yaml_document(folder.write("d.yaml", "a: {3: [1, -2, '4'], 0x10: ~}\nb:\n- 010\n- 1.5\n- c: \"\"\n"));
  ASSERT_TRUE(document) << document.error().message;
  const auto expected =
      nlohmann::json::parse(R"({"a": {"3": [1, -2, "4"], "0x10": null}, "b": ["010", "1.5", {"c": ""}]})");
  EXPECT_EQ(*document, expected);
}

TEST(YamlDocument, refuses_what_data_has_no_need_of) {
  const TemporaryFolder folder;
  for (const char* text :
       {"a: &x 1\n", "a: &x 1\nb: *x\n", "a: !!int 1\n", "a: !own [1]\n", "a: 1\na: 2\n", "a: 1\n'a': 2\n",
        "a: 1\n---\nb: 2\n", "[[[[[[[[[1]]]]]]]]]\n", "? {a: 1}\n: 2\n", "a: [1\n", "a: b: c\n"}) {
    const auto document = read_yaml_document(folder.write("d.yaml", text));
    ASSERT_FALSE(document) << text;
    EXPECT_NE(document.error().message.find("d.yaml: line "), std::string::npos) << document.error().message;
  }
}

TEST(ClusterFile, ends_where_a_document_starts_with_a_comma) {
  const TemporaryFolder folder;
  EXPECT_FALSE(read_cluster(folder.write("c.yaml", ",gpus: 8\n")));
}

TEST(ClusterFile, wants_names_of_several_groups) {
  const TemporaryFolder folder;
  for (const char* text : {"gpus: 8\n---\ngpus: 9\n", "name: a\ngpus: 8\n---\nname: a\ngpus: 9\n"}) {
    const auto groups = read_cluster(folder.write("c.yaml", text));
    ASSERT_FALSE(groups) << text;
    EXPECT_NE(groups.error().message.find("give"), std::string::npos) << groups.error().message;
  }
}

TEST(ClusterFile, keeps_a_message_that_quotes_it_on_one_line) {
  const TemporaryFolder folder;
  const auto cluster = read_cluster(folder.write("c.yaml", "\"two\\nlines\\e[31m\": 8\n"));
  ASSERT_FALSE(cluster);
  EXPECT_NE(cluster.error().message.find("unknown key 'two?lines?[31m'"), std::string::npos) << cluster.error().message;
}

TEST(NearestWord, is_the_closest_or_none) {
  const std::vector<std::string> words{"contiguous", "random", "lpt", "eplb"};
  EXPECT_EQ(nearest_word("contigous", words), "contiguous");
  EXPECT_EQ(nearest_word("elpb", words), "eplb");
  EXPECT_EQ(nearest_word("something-else", words), std::nullopt);
  EXPECT_EQ(nearest_word("con", words), "contiguous");
}

}  // namespace
}  // namespace evenkeel::config_test
