#include "pipeline/config/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace evenkeel {
namespace {

using nlohmann::json;

constexpr std::uintmax_t kDocumentBytesMax = std::uintmax_t{64} << 20;
constexpr std::size_t kNestingMax = 8;

/// yaml-cpp's exception is the only way out of its parser; read_yaml_document() turns it into an Error.
[[noreturn]] void refuse(const YAML::Mark& mark, const std::string& why) { throw YAML::ParserException(mark, why); }

/// A plain word as the whole number it spells, else as text.
json plain_value(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc() && end == text.data() + text.size() && std::to_string(number) == text) return number;
  return text;
}

/// Builds the value while the parser walks the file.
class JsonBuilder : public YAML::EventHandler {
 public:
  [[nodiscard]] json take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "a second document starts; keep one, without ---");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "?", anchor);
    add(mark, "~", nullptr);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    refuse(mark, "it has an alias; write the values out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    add(mark, value, tag == "?" ? plain_value(value) : json(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, json::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, json::object());
  }
  void OnMapEnd() override { close(); }

 private:
  /// A list or map that is being filled; a map between a key and its value has a key.
  struct Open {
    json value;
    std::optional<std::string> key;
  };

  static void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) refuse(mark, "it has an anchor; write the values out");
    // "?" is a plain value, "!" a quoted one; yaml-cpp gives anything else for a tag in the file.
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "it has a tag; write the value without");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, json container) {
    check(mark, tag, anchor);
    if (awaits_key()) refuse(mark, "a key is a list or map; give a word or number");
    if (open_.size() == kNestingMax) refuse(mark, fmt::format("it nests deeper than {}; keep it flat", kNestingMax));
    open_.push_back({std::move(container), std::nullopt});
  }

  void close() {
    json done = std::move(open_.back().value);
    open_.pop_back();
    put(std::move(done));
  }

  void add(const YAML::Mark& mark, const std::string& text, json value) {
    if (!awaits_key()) return put(std::move(value));
    if (open_.back().value.contains(text)) refuse(mark, fmt::format("key '{}' is set twice; keep one", text));
    open_.back().key = text;
  }

  void put(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Open& parent = open_.back(); parent.value.is_array()) {
      parent.value.push_back(std::move(value));
    } else {
      parent.value[*std::exchange(parent.key, std::nullopt)] = std::move(value);
    }
  }

  [[nodiscard]] bool awaits_key() const {
    return !open_.empty() && open_.back().value.is_object() && !open_.back().key;
  }

  json root_;
  std::vector<Open> open_;
  std::size_t documents_ = 0;
};

}  // namespace

Result<json> read_yaml_document(const std::filesystem::path& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error)
    return invalid_input(fmt::format("{}: it cannot be read ({}); check the path", path.string(), error.message()));
  if (bytes > kDocumentBytesMax) {
    return invalid_input(
        fmt::format("{}: it has {} bytes; YAML of at most {} is accepted", path.string(), bytes, kDocumentBytesMax));
  }
  try {
    std::ifstream in(path, std::ios::binary);
    YAML::Parser parser(in);
    JsonBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const YAML::Exception& exception) {
    return invalid_input(
        fmt::format("{}: line {} cannot be read as YAML: {}", path.string(), exception.mark.line + 1, exception.msg));
  }
}

}  // namespace evenkeel
