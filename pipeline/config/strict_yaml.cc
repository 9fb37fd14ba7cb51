#include "pipeline/config/strict_yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "pipeline/flags/nearest.h"

namespace evenkeel {
namespace {

constexpr std::uintmax_t kYamlBytesMax = 1 << 20;

using Entries = std::vector<std::pair<std::string, std::string>>;

Status add_entry(const std::string& path, std::string key, const YAML::Node& value,
                 const std::vector<std::string>& known, Entries& entries) {
  if (std::find(known.begin(), known.end(), key) == known.end()) {
    return invalid_input(fmt::format("{}: unknown key '{}'{}", path, key, did_you_mean(key, known)));
  }
  if (!value.IsScalar()) return invalid_input(fmt::format("{}: key '{}' is not a single value; give one", path, key));
  const bool is_repeated = std::ranges::any_of(entries, [&](const auto& entry) { return entry.first == key; });
  if (is_repeated) return invalid_input(fmt::format("{}: key '{}' is set twice; keep one", path, key));
  entries.emplace_back(std::move(key), value.Scalar());
  return {};
}

Result<Entries> read_entries(const std::string& path, const YAML::Node& document,
                             const std::vector<std::string>& known) {
  Entries entries;
  if (document.IsNull()) return entries;
  if (!document.IsMap())
    return invalid_input(fmt::format("{}: it is not a map of settings; write lines of 'key: value'", path));
  for (const auto& item : document) {
    if (!item.first.IsScalar())
      return invalid_input(
          fmt::format("{}: line {} has a key that is no word; write 'key: value'", path, item.first.Mark().line + 1));
    const std::string key = item.first.Scalar();
    if (!item.second.IsMap() || item.second.size() == 0) {
      EVENKEEL_TRY_STATUS(add_entry(path, key, item.second, known, entries));
      continue;
    }
    for (const auto& inner : item.second) {
      EVENKEEL_TRY_STATUS(
          add_entry(path, fmt::format("{}.{}", key, inner.first.Scalar()), inner.second, known, entries));
    }
  }
  return entries;
}

}  // namespace

Result<StrictYaml> StrictYaml::read(const std::filesystem::path& path, const std::vector<std::string>& known) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error)
    return invalid_input(fmt::format("{}: it cannot be read ({}); check the path", path.string(), error.message()));
  if (bytes > kYamlBytesMax) {
    return invalid_input(
        fmt::format("{}: it has {} bytes; settings of at most {} are accepted", path.string(), bytes, kYamlBytesMax));
  }
  try {
    std::ifstream in(path);
    const std::vector<YAML::Node> documents = YAML::LoadAll(in);
    if (documents.size() > 1)
      return invalid_input(
          fmt::format("{}: it holds {} documents; keep one, without ---", path.string(), documents.size()));
    EVENKEEL_TRY(entries, read_entries(path.string(), documents.empty() ? YAML::Node() : documents.front(), known));
    return StrictYaml(path.string(), std::move(entries));
  } catch (const YAML::Exception& exception) {
    return invalid_input(fmt::format("{}: line {} is not valid YAML ({}); mend it", path.string(),
                                     exception.mark.line + 1, exception.msg));
  }
}

std::optional<std::string> StrictYaml::text(const std::string& key) const {
  const auto entry = std::ranges::find_if(entries_, [&](const auto& candidate) { return candidate.first == key; });
  if (entry == entries_.end()) return std::nullopt;
  return entry->second;
}

Result<std::optional<double>> StrictYaml::number(const std::string& key) const {
  const auto value = text(key);
  if (!value) return std::optional<double>();
  double number = 0;
  const auto [end, code] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (code != std::errc() || end != value->data() + value->size() || !std::isfinite(number)) {
    return invalid_input(fmt::format("{}: key '{}' is '{}'; give a number", path_, key, *value));
  }
  return std::optional(number);
}

Result<std::optional<std::size_t>> StrictYaml::count(const std::string& key) const {
  const auto value = text(key);
  if (!value) return std::optional<std::size_t>();
  std::size_t number = 0;
  const auto [end, code] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (code != std::errc() || end != value->data() + value->size()) {
    return invalid_input(fmt::format("{}: key '{}' is '{}'; give a whole number, 0 or above", path_, key, *value));
  }
  return std::optional(number);
}

}  // namespace evenkeel
