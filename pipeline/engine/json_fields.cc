#include "pipeline/engine/json_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/flags/nearest.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

constexpr std::uint64_t kCountMax = 1'000'000;

}  // namespace

Status check_known_keys(const nlohmann::json& object, const std::string& where, std::span<const std::string> keys) {
  if (!object.is_object()) return invalid_input(fmt::format("{} is {}; give an object", where, brief(object)));
  for (const auto& item : object.items()) {
    if (std::ranges::find(keys, item.key()) != keys.end()) continue;
    return invalid_input(fmt::format("{}: unknown key '{}'{}", where, item.key(), did_you_mean(item.key(), keys)));
  }
  return {};
}

Status check_exact_keys(const nlohmann::json& object, const std::string& where, std::span<const std::string> keys) {
  EVENKEEL_TRY_STATUS(check_known_keys(object, where, keys));
  for (const std::string& key : keys) {
    if (!object.contains(key)) return invalid_input(fmt::format("{}: key '{}' is missing; add it", where, key));
  }
  return {};
}

Result<std::size_t> whole_number_of(const nlohmann::json& object, const std::string& where, const char* key,
                                    std::size_t least) {
  if (!object.contains(key))
    return invalid_input(fmt::format("{}: key '{}' is missing; give a whole number", where, key));
  const nlohmann::json& value = object.at(key);
  if (!value.is_number_integer() || value < least || value > kCountMax) {
    return invalid_input(
        fmt::format("{}: key '{}' is {}; give a whole number, {} or above", where, key, brief(value), least));
  }
  return value.get<std::size_t>();
}

}  // namespace evenkeel
