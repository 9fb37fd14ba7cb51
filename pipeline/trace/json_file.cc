#include "pipeline/trace/json_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <set>
#include <vector>

namespace evenkeel {
namespace {

/// A parsed document takes up to eight times its text.
constexpr std::uintmax_t kJsonBytesMax = std::uintmax_t{32} << 20;

constexpr std::size_t kLineBytesMax = std::size_t{16} << 20;

/// Watches a parse for keys that an object sets twice.
class KeyWatch {
 public:
  bool operator()(nlohmann::json::parse_event_t event, const nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(value.get<std::string>()).second && !repeated_)
      repeated_ = value.get<std::string>();
    return true;
  }
  [[nodiscard]] const std::optional<std::string>& repeated() const { return repeated_; }

 private:
  /// Of every object that is open.
  std::vector<std::set<std::string>> keys_;
  std::optional<std::string> repeated_;
};

struct Signature {
  std::string_view bytes;
  const char* kind;
  const char* remedy;
};

constexpr std::string_view kPlainText = "save it as UTF-8 without one";
constexpr std::array<Signature, 7> kSignatures{{
    {"\xEF\xBB\xBF", "text that starts with a byte order mark", kPlainText.data()},
    {"\xFF\xFE", "UTF-16 text with a byte order mark", kPlainText.data()},
    {"\xFE\xFF", "UTF-16 text with a byte order mark", kPlainText.data()},
    {"\x1F\x8B", "compressed with gzip", "unpack it first (gunzip)"},
    {"\x28\xB5\x2F\xFD", "compressed with Zstandard", "unpack it first (unzstd)"},
    {"\xFD"
     "7zXZ",
     "compressed with xz", "unpack it first (unxz)"},
    {"BZh", "compressed with bzip2", "unpack it first (bunzip2)"},
}};

}  // namespace

Status check_plain_text(const std::filesystem::path& path, std::string_view head) {
  const auto known =
      std::ranges::find_if(kSignatures, [&](const Signature& signature) { return head.starts_with(signature.bytes); });
  if (known != kSignatures.end())
    return invalid_input(fmt::format("{}: it is {}; {}", path.string(), known->kind, known->remedy));
  // PROTO and its number, 2 to 5.
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    return invalid_input(
        fmt::format("{}: it is a bare pickle, as pickle.dump and PyTorch before 1.6 write; save it with "
                    "torch.save of a newer PyTorch",
                    path.string()));
  }
  return {};
}

Result<bool> read_line(std::ifstream& in, const std::string& where, std::string& line) {
  line.clear();
  constexpr int kEnd = std::ifstream::traits_type::eof();
  std::streambuf& bytes = *in.rdbuf();
  int byte = bytes.sbumpc();
  if (byte == kEnd) return false;
  for (; byte != kEnd && byte != '\n'; byte = bytes.sbumpc()) {
    if (line.size() == kLineBytesMax) {
      return invalid_input(fmt::format("{}: it has above {} bytes; give one record a line", where, kLineBytesMax));
    }
    line.push_back(static_cast<char>(byte));
  }
  return true;
}

std::string_view not_a_number(std::string_view text) {
  // Longer words first.
  constexpr std::array<std::string_view, 4> kWords{"-Infinity", "Infinity", "NaN", "nan"};
  const auto* const word =
      std::ranges::find_if(kWords, [&](std::string_view name) { return text.find(name) != std::string_view::npos; });
  return word == kWords.end() ? std::string_view() : *word;
}

std::string json_fault(const std::string& where, std::string_view near, std::size_t byte,
                       const nlohmann::detail::exception& fault) {
  const std::string_view reason = fault.what();
  if (reason.find("; expected end of input") != std::string_view::npos) {
    return fmt::format(
        "{}: another JSON document begins at byte {}, as in JSON lines; give one document, or lines of a kind that is "
        "known (docs/reference/formats.md)",
        where, byte);
  }
  if (const std::string_view word = not_a_number(near); !word.empty())
    return fmt::format("{}: it holds {} at byte {}, which is no number in JSON; give whole numbers", where, word, byte);
  return fmt::format("{}: it is not valid JSON at byte {}; write the file again", where, byte);
}

std::string json_fault(const std::filesystem::path& path, std::size_t byte, const nlohmann::detail::exception& fault) {
  // A sign and the word's first letter are read when the fault shows.
  constexpr std::size_t kBefore = 2;
  std::array<char, 12> near{};
  std::ifstream in(path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(byte > kBefore ? byte - kBefore : 0));
  in.read(near.data(), near.size());
  return json_fault(path.string(), {near.data(), static_cast<std::size_t>(in.gcount())}, byte, fault);
}

Status check_regular_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error || !std::filesystem::exists(status)) {
    return invalid_input(fmt::format("{}: it cannot be read ({}); check the path", path.string(),
                                     error ? error.message() : "No such file or directory"));
  }
  if (std::filesystem::is_directory(status))
    return invalid_input(fmt::format("{}: it is a folder; give a file", path.string()));
  if (!std::filesystem::is_regular_file(status)) {
    return invalid_input(fmt::format("{}: it is a pipe or device; write its content to a file first", path.string()));
  }
  if (!std::ifstream(path)) {
    const int code = errno;
    return invalid_input(
        fmt::format("{}: it cannot be read ({}); {}", path.string(), std::strerror(code),
                    code == EMFILE ? "give fewer files at once, or raise the limit (ulimit -n)" : "check its rights"));
  }
  return {};
}

Result<nlohmann::json> read_json(const std::filesystem::path& path, RepeatedKeys repeated) {
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kJsonBytesMax) {
    return invalid_input(
        fmt::format("{}: it has {} bytes; JSON of at most {} is accepted", path.string(), bytes, kJsonBytesMax));
  }
  try {
    std::ifstream in(path, std::ios::binary);
    if (repeated == RepeatedKeys::kLastWins) return nlohmann::json::parse(in);
    KeyWatch watch;
    auto document =
        nlohmann::json::parse(in, [&](int, auto event, const nlohmann::json& value) { return watch(event, value); });
    if (watch.repeated())
      return invalid_input(fmt::format("{}: key '{}' is set twice; keep one", path.string(), *watch.repeated()));
    return document;
  } catch (const nlohmann::json::parse_error& parse_error) {
    return invalid_input(json_fault(path, parse_error.byte, parse_error));
  } catch (const std::exception& other) {
    return invalid_input(
        fmt::format("{}: it is not valid JSON ({}); write the file again", path.string(), other.what()));
  }
}

std::string brief(const nlohmann::json& value) {
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (value.is_object()) return "an object";
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

}  // namespace evenkeel
