#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel::testing {

// Instructions that leave one value on a pickle's stack, put together as torch.save does.
inline std::string pickled(std::int32_t number) { return "J" + bytes_of(std::vector<std::int32_t>{number}); }

inline std::string pickled(const std::string& text) {
  return "X" + bytes_of(std::vector<std::uint32_t>{static_cast<std::uint32_t>(text.size())}) + text;
}

inline std::string pickled_tuple(const std::vector<std::string>& values) {
  std::string text = "(";
  for (const std::string& value : values) text += value;
  return text + "t";
}

inline std::string pickled_numbers(const std::vector<std::int32_t>& numbers) {
  std::vector<std::string> values;
  for (const std::int32_t number : numbers) values.push_back(pickled(number));
  return pickled_tuple(values);
}

inline std::string pickled_list(const std::vector<std::string>& values) {
  std::string text = "](";
  for (const std::string& value : values) text += value;
  return text + "e";
}

inline std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "}(";
  for (const auto& [key, value] : items) text += pickled(key) + value;
  return text + "u";
}

inline std::string pickled_storage(const std::string& type, const std::string& key) {
  return pickled_tuple({pickled("storage"), "ctorch\n" + type + "\n", pickled(key), pickled("cuda:0"), pickled(1)}) +
         "Q";
}

inline std::string pickled_tensor(const std::string& storage, std::int32_t offset,
                                  const std::vector<std::int32_t>& size, const std::vector<std::int32_t>& stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n" +
         pickled_tuple({storage, pickled(offset), pickled_numbers(size), pickled_numbers(stride), "\x89",
                        "ccollections\nOrderedDict\n)R"}) +
         "R";
}

/// A whole pickle of one value.
inline std::string pickle_of(const std::string& value) { return "\x80\x02" + value + "."; }

/// A file as torch.save writes it: the value and its storages, uncompressed.
inline std::filesystem::path write_torch(const std::filesystem::path& folder, const std::string& name,
                                         const std::string& pickle, const std::map<std::string, std::string>& storages,
                                         const std::string& byteorder = "little") {
  std::map<std::string, std::string> entries{{"archive/data.pkl", pickle}, {"archive/byteorder", byteorder}};
  for (const auto& [key, bytes] : storages) entries["archive/data/" + key] = bytes;
  return write_zip(folder, name, entries, ZIP_CM_STORE);
}

}  // namespace evenkeel::testing
