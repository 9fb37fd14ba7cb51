#include "pipeline/trace/pickle.h"

#include <gtest/gtest.h>

#include "tests/pipeline/pickle_builder.h"

namespace evenkeel::pickle_test {
namespace {

using testing::pickle_of;
using testing::pickled;
using testing::pickled_dict;
using testing::pickled_list;
using testing::pickled_numbers;
using testing::pickled_storage;
using testing::pickled_tensor;
using testing::pickled_tuple;

Result<PickleDocument> parse(const std::string& text) {
  return parse_pickle(std::as_bytes(std::span(text.data(), text.size())));
}

/// The message with which a pickle is refused.
std::string refusal(const std::string& text) {
  const auto document = parse(text);
  return document ? "accepted" : document.error().message;
}

TEST(Pickle, reads_scalars) {
  using std::string_literals::operator""s;
  EXPECT_TRUE(std::holds_alternative<PickleNone>(parse(pickle_of("N"))->root()));
  EXPECT_EQ(std::get<bool>(parse(pickle_of("\x88"))->root()), true);
  EXPECT_EQ(std::get<bool>(parse(pickle_of("\x89"))->root()), false);
  EXPECT_EQ(std::get<std::int64_t>(parse(pickle_of("K\xff"))->root()), 255);
  EXPECT_EQ(std::get<std::int64_t>(parse(pickle_of("M\xff\xff"))->root()), 65535);
  EXPECT_EQ(std::get<std::int64_t>(parse(pickle_of("J\xfe\xff\xff\xff"))->root()), -2);
  EXPECT_EQ(std::get<std::int64_t>(parse(pickle_of("\x8a\x00"s))->root()), 0);
  EXPECT_EQ(std::get<std::int64_t>(parse(pickle_of("\x8a\x05\x00\x00\x00\x00\x80"s))->root()),
            -(std::int64_t{1} << 39));
  EXPECT_EQ(std::get<double>(parse(pickle_of("G\x3f\xf8\x00\x00\x00\x00\x00\x00"s))->root()), 1.5);
}

TEST(Pickle, reads_containers_and_shared_values) {
  // {"a": [1, 2], "b": the same list}
  const auto document = parse(
      pickle_of("}(" + pickled("a") + "](K\x01K\x02" + std::string("eq\0", 3) + pickled("b") + std::string("h\0u", 3)));
  ASSERT_TRUE(document) << document.error().message;
  const auto root = std::get<PickleDict>(document->root());
  const auto* const a = document->find(root, "a");
  const auto* const b = document->find(root, "b");
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(document->find(root, "c"), nullptr);
  EXPECT_EQ(std::get<PickleList>(*a), std::get<PickleList>(*b));
  EXPECT_EQ(document->list(std::get<PickleList>(*a)).size(), 2U);
}

TEST(Pickle, rebuilds_tensors_as_references) {
  const auto document = parse(pickle_of(pickled_tensor(pickled_storage("ShortStorage", "7"), 5, {2, 3}, {4, 1})));
  ASSERT_TRUE(document) << document.error().message;
  const TensorReference& tensor = document->tensor(std::get<PickleTensor>(document->root()));
  EXPECT_EQ(document->storage(tensor.storage).type, StorageType::kInt16);
  EXPECT_EQ(document->storage(tensor.storage).key, "7");
  EXPECT_EQ(tensor.offset, 5);
  EXPECT_EQ(tensor.size, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(tensor.stride, (std::vector<std::int64_t>{4, 1}));
}

TEST(Pickle, refuses_every_truncation) {
  const std::string whole =
      pickle_of(pickled_dict({{"a", pickled_list({pickled(1), "G????????", "\x8a\x01?", "M??"})},
                              {"b", pickled_tensor(pickled_storage("IntStorage", "0"), 0, {1}, {1})}}));
  ASSERT_TRUE(parse(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(parse(whole.substr(0, length))) << length;
}

TEST(Pickle, survives_every_changed_byte) {
  const std::string whole =
      pickle_of(pickled_list({pickled_dict({{"a", pickled_tensor(pickled_storage("IntStorage", "0"), 0, {1}, {1})}}),
                              pickled_numbers({1, 2})}));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = whole;
      changed[at] = static_cast<char>(byte);
      const auto document = parse(changed);
      EXPECT_TRUE(document || !document.error().message.empty());
    }
  }
}

TEST(Pickle, names_a_foreign_global_and_refuses_it) {
  EXPECT_NE(refusal(pickle_of("cos\nsystem\n" + pickled_tuple({pickled("true")}) + "R")).find("names os.system"),
            std::string::npos);
  EXPECT_NE(refusal(pickle_of("ctorch\nComplexFloatStorage\n")).find("torch.ComplexFloatStorage"), std::string::npos);
  EXPECT_NE(refusal(pickle_of("cbuiltins\nev\x1b\tal\n")).find("builtins.ev??al"), std::string::npos);
  EXPECT_NE(refusal(pickle_of("ccollections\nOrderedDict\n" + pickled_tuple({"]"}) + "R")).find("calls something"),
            std::string::npos);
}

struct Refused {
  const char* name;
  std::string pickle;
  const char* message;
};

class MalformedPickle : public ::testing::TestWithParam<Refused> {};

TEST_P(MalformedPickle, is_refused_with_its_reason) {
  const std::string message = refusal(GetParam().pickle);
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

const std::string kStorage = pickled_storage("IntStorage", "0");

INSTANTIATE_TEST_SUITE_P(
    Each, MalformedPickle,
    ::testing::Values(
        Refused{"empty", "", "no pickle of protocol 2"},
        Refused{"other_protocol", "\x80\x04N.", "no pickle of protocol 2"},
        Refused{"bad_instruction", pickle_of("i"), "instruction 0x69"},
        Refused{"build_instruction", pickle_of("}}b"), "instruction 0x62"},
        Refused{"memo_missing", pickle_of("h\x05"), "recalls value 5 of 0"},
        Refused{"memo_out_of_order", pickle_of("Nr\xff\xff\xff\x7f"), "remembers value 2147483647 but 0"},
        Refused{"stack_underflow", pickle_of("\x85"), "finds no value"},
        Refused{"underflow_below_a_mark", pickle_of("N(\x85"), "finds no value"},
        Refused{"no_mark", pickle_of("Nt"), "finds no mark"}, Refused{"left_over", pickle_of("NN"), "values left over"},
        Refused{"open_mark", pickle_of("N("), "finds no value"},
        Refused{"append_to_a_dict", pickle_of("}Na"), "appends to what is no list"},
        Refused{"key_without_value", pickle_of("}(Nu"), "a key without a value"},
        Refused{"items_of_a_list", pickle_of("]NNs"), "sets items of what is no dictionary"},
        Refused{"long_number", pickle_of("\x8a\x09?????????"), "9 bytes"},
        Refused{"long_text", pickle_of("X\xff\xff\xff\xff"), "4294967295 bytes"},
        Refused{"endless_name", pickle_of("c" + std::string(5000, 'x')), "without an end"},
        Refused{"deep_marks", "\x80\x02" + std::string(100, '('), "nests deeper than 64"},
        Refused{"tall_stack", "\x80\x02" + std::string(70000, 'N'), "wait on the stack"},
        Refused{"wide_dict", pickle_of("}" + repeated("NNs", 2000)), "more than 1024 items"},
        Refused{"persistent_id_of_a_number", pickle_of("NQ"), "persistent id is None"},
        Refused{"storage_of_no_type", pickle_of(pickled_tuple({pickled("storage"), "N", pickled("0"), "N", "N"}) + "Q"),
                "lacks its type"},
        Refused{"call_of_a_text", pickle_of(pickled("print") + ")R"), "calls something"},
        Refused{"tensor_of_few_arguments", pickle_of("ctorch._utils\n_rebuild_tensor_v2\n)R"), "0 arguments"},
        Refused{"tensor_of_no_storage", pickle_of(pickled_tensor("N", 0, {1}, {1})), "of None"},
        Refused{"negative_offset", pickle_of(pickled_tensor(kStorage, -1, {1}, {1})), "starts at -1"},
        Refused{"negative_size", pickle_of(pickled_tensor(kStorage, 0, {-3}, {1})), "size holds -3"},
        Refused{"negative_stride", pickle_of(pickled_tensor(kStorage, 0, {3}, {-1})), "stride holds -1"},
        Refused{"sizes_without_strides", pickle_of(pickled_tensor(kStorage, 0, {3, 3}, {1})), "2 sizes but 1"},
        Refused{"many_dimensions", pickle_of(pickled_tensor(kStorage, 0, std::vector<std::int32_t>(9, 1), {1})),
                "tuple of 9"}),
    [](const auto& instance) { return instance.param.name; });

TEST(Pickle, frees_deep_nesting_and_cycles_without_recursion) {
  EXPECT_TRUE(parse(pickle_of(")" + std::string(1000000, '\x85'))));
  EXPECT_TRUE(parse(pickle_of(std::string("]q\0h\0a", 6)))) << "a list in itself";
}

TEST(Pickle, stops_at_its_memory_limit) {
  for (const std::string& value : {std::string("]"), std::string(")"), std::string("}"), std::string("N\x85"),
                                   pickled("text"), std::string("]Na"), std::string("}NNs")}) {
    const std::string text = pickle_of("]" + repeated(value + "a", 1000));
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    EXPECT_TRUE(parse_pickle(bytes, 12000)) << value;
    const auto refused = parse_pickle(bytes, 5000);
    ASSERT_FALSE(refused) << value;
    EXPECT_NE(refused.error().message.find("more than 80000 bytes"), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace evenkeel::pickle_test
