#include "pipeline/config/strict_yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "pipeline/flags/nearest.h"

namespace evenkeel {
namespace {

constexpr std::uintmax_t kYamlBytesMax = 1 << 20;

using Entries = std::vector<std::pair<std::string, std::string>>;

/// Keys a file may set, and those of them that may have a list.
struct Keys {
  const std::vector<std::string>& known;
  const std::vector<std::string>& lists;
};

/// The items of a list of scalars with commas between them; none where it is something else.
std::optional<std::string> joined_items(const YAML::Node& value) {
  if (!value.IsSequence() || !std::ranges::all_of(value, [](const auto& item) { return item.IsScalar(); }))
    return std::nullopt;
  std::string joined;
  for (const auto& item : value) joined += (joined.empty() ? "" : ",") + item.Scalar();
  return joined;
}

Status add_entry(const std::string& path, std::string key, const YAML::Node& value, const Keys& keys,
                 Entries& entries) {
  if (std::ranges::find(keys.known, key) == keys.known.end()) {
    return invalid_input(fmt::format("{}: unknown key '{}'{}", path, key, did_you_mean(key, keys.known)));
  }
  const bool may_be_list = std::ranges::find(keys.lists, key) != keys.lists.end();
  const std::optional<std::string> text = value.IsScalar() ? value.Scalar()
                                          : may_be_list    ? joined_items(value)
                                                           : std::optional<std::string>();
  if (!text) {
    return invalid_input(fmt::format("{}: key '{}' is not a single value{}; give one", path, key,
                                     may_be_list ? " or a list of them" : ""));
  }
  const bool is_repeated = std::ranges::any_of(entries, [&](const auto& entry) { return entry.first == key; });
  if (is_repeated) return invalid_input(fmt::format("{}: key '{}' is set twice; keep one", path, key));
  entries.emplace_back(std::move(key), *text);
  return {};
}

Result<Entries> read_entries(const std::string& path, const YAML::Node& document, const Keys& keys) {
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
      EVENKEEL_TRY_STATUS(add_entry(path, key, item.second, keys, entries));
      continue;
    }
    for (const auto& inner : item.second) {
      EVENKEEL_TRY_STATUS(
          add_entry(path, fmt::format("{}.{}", key, inner.first.Scalar()), inner.second, keys, entries));
    }
  }
  return entries;
}

struct Range {
  std::size_t first;
  std::size_t last;
  std::size_t step;
};

/// "4", "4-7" or "4-7/2".
std::optional<Range> parse_range(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto read = [&](std::size_t& number) {
    const auto [next, code] = std::from_chars(at, end, number);
    at = next;
    return code == std::errc();
  };
  Range range{0, 0, 1};
  if (!read(range.first)) return std::nullopt;
  range.last = range.first;
  if (at != end && *at == '-' && (++at, !read(range.last))) return std::nullopt;
  if (at != end && *at == '/' && (++at, !read(range.step))) return std::nullopt;
  if (at != end || range.first > range.last || range.step == 0) return std::nullopt;
  range.step = std::min(range.step, range.last - range.first + 1);
  return range;
}

/// Lets a document go by.
class IgnoredDocument : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// Whether more follows the first document. YAML::LoadAll would tell, but it never ends where a document starts with
/// ',': yaml-cpp 0.7 takes that for one empty document after the other.
bool has_several_documents(std::istream& in) {
  YAML::Parser parser(in);
  IgnoredDocument ignored;
  return parser.HandleNextDocument(ignored) && parser.HandleNextDocument(ignored);
}

}  // namespace

Result<std::string> read_settings_text(const std::filesystem::path& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error)
    return invalid_input(fmt::format("{}: it cannot be read ({}); check the path", path.string(), error.message()));
  if (bytes > kYamlBytesMax) {
    return invalid_input(
        fmt::format("{}: it has {} bytes; settings of at most {} are accepted", path.string(), bytes, kYamlBytesMax));
  }
  std::ifstream in(path, std::ios::binary);
  return std::string{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Result<StrictYaml> StrictYaml::read(const std::filesystem::path& path, const std::vector<std::string>& known,
                                    const std::vector<std::string>& lists) {
  EVENKEEL_TRY(content, read_settings_text(path));
  return parse(path.string(), content, known, lists);
}

Result<StrictYaml> StrictYaml::parse(const std::string& name, const std::string& content,
                                     const std::vector<std::string>& known, const std::vector<std::string>& lists) {
  try {
    std::istringstream in(content);
    if (has_several_documents(in))
      return invalid_input(fmt::format("{}: it holds at least 2 documents; keep one, without ---", name));
    EVENKEEL_TRY(entries, read_entries(name, YAML::Load(content), Keys{known, lists}));
    return StrictYaml(name, std::move(entries));
  } catch (const YAML::Exception& exception) {
    return invalid_input(
        fmt::format("{}: line {} is not valid YAML ({}); mend it", name, exception.mark.line + 1, exception.msg));
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

tl::expected<std::vector<std::size_t>, std::string> parse_numbers(const std::string& text, std::size_t below) {
  std::set<std::size_t> numbers;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const std::string item = text.substr(start, comma - start);
    const auto range = parse_range(item);
    if (!range || range->last >= below) return tl::unexpected(item);
    for (std::size_t number = range->first; number <= range->last; number += range->step) numbers.insert(number);
    start = comma + 1;
  }
  return std::vector<std::size_t>(numbers.begin(), numbers.end());
}

Result<std::vector<std::size_t>> StrictYaml::numbers(const std::string& key, std::size_t below) const {
  const auto numbers = parse_numbers(text(key).value_or(""), below);
  if (numbers) return *numbers;
  return invalid_input(fmt::format("{}: key '{}' holds '{}'; give numbers from 0 to {}, ranges such as 0-2, or 0-46/2",
                                   path_, key, numbers.error(), below - 1));
}

}  // namespace evenkeel
