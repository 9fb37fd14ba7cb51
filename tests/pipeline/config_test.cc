#include <gtest/gtest.h>

#include "pipeline/config/cluster_file.h"
#include "pipeline/config/strict_yaml.h"
#include "pipeline/config/yaml_document.h"
#include "pipeline/flags/nearest.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel {
namespace {

using testing::TemporaryFolder;

TEST(ClusterFile, reads_what_is_set_and_keeps_the_defaults) {
  const TemporaryFolder folder;
  const auto cluster =
      read_cluster(folder.write("c.yaml", "gpus: 16\nnodes: 2\ninter_node:\n  bandwidth_gb_per_s: 25\n"));
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_EQ(cluster->gpus, 16U);
  EXPECT_DOUBLE_EQ(cluster->inter_node.bandwidth_gb_per_s, 25);
  EXPECT_DOUBLE_EQ(cluster->intra_node.bandwidth_gb_per_s, 450);
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

TEST(ClusterFile, refuses_a_second_document) {
  const TemporaryFolder folder;
  const auto cluster = read_cluster(folder.write("c.yaml", "gpus: 8\n---\ngpus: 9\n"));
  ASSERT_FALSE(cluster);
  EXPECT_NE(cluster.error().message.find("2 documents"), std::string::npos) << cluster.error().message;
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
}  // namespace evenkeel
