#include "rebalancer/net/authorised_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "agents/shell/curve_keys.h"
#include "agents/wire/frame.h"
#include "agents/wire/limits.h"

namespace evenkeel::rebalancer {
namespace {

// Two keys for each of the most agents, while keys are changed.
constexpr std::size_t kKeysMax = 2 * wire::kAgentsMax;
constexpr std::uintmax_t kFileBytesMax = 4 << 20;
constexpr std::string_view kWorkerOption = "worker=";

bool matches(std::string_view pattern, std::string_view worker) {
  if (!pattern.ends_with('*')) return pattern == worker;
  return worker.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

Result<AuthorisedKeys> AuthorisedKeys::read(const std::filesystem::path& path) {
  AuthorisedKeys keys;
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    EVENKEEL_TRY_STATUS(keys.add_file(path));
    return keys;
  }
  std::set<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".pub") files.insert(entry->path());
  }
  if (error)
    return invalid_input(fmt::format("--authorized-keys {}: {}; check the folder", path.string(), error.message()));
  for (const auto& file : files) EVENKEEL_TRY_STATUS(keys.add_file(file));
  return keys;
}

Result<AuthorisedKeys> AuthorisedKeys::parse(const std::string& name, const std::string& text) {
  AuthorisedKeys keys;
  EVENKEEL_TRY_STATUS(keys.add_text(name, text));
  return keys;
}

Status AuthorisedKeys::add_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error)
    return invalid_input(fmt::format("--authorized-keys {}: {}; check the path", path.string(), error.message()));
  if (bytes > kFileBytesMax) {
    return invalid_input(
        fmt::format("--authorized-keys {}: it has {} bytes; at most {} are read", path.string(), bytes, kFileBytesMax));
  }
  std::ifstream in(path, std::ios::binary);
  return add_text(path.string(), {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()});
}

Status AuthorisedKeys::add_text(const std::string& name, const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    // A key may begin with '#'.
    if (line.find_first_not_of(" \t\r") == std::string::npos || line == "#" || line.starts_with("# ")) continue;
    EVENKEEL_TRY_STATUS(add_line(fmt::format("{} line {}", name, number), line));
  }
  return {};
}

Status AuthorisedKeys::add_line(const std::string& place, const std::string& line) {
  std::istringstream words(line);
  std::string key;
  std::string user;
  words >> key >> user;
  if (!shell::is_curve_key(key)) {
    return invalid_input(
        fmt::format("{}: the first word is no public key of {} characters; write 'KEY USER [worker=NAME] [operator]'",
                    place, shell::kCurveKeyCharacters));
  }
  EVENKEEL_TRY_STATUS(wire::validate_name(place + ": the user", user));
  Rights rights;
  for (std::string option; words >> option;) {
    if (option == "operator") {
      rights.operates = true;
    } else if (option.starts_with(kWorkerOption) && option.size() > kWorkerOption.size()) {
      rights.workers.push_back(option.substr(kWorkerOption.size()));
    } else {
      return invalid_input(fmt::format("{}: '{}' is no option; give worker=NAME or operator", place, option));
    }
  }
  if (rights.workers.empty() && !rights.operates) rights.workers.push_back(user);
  if (!user_of_.emplace(key, user).second) {
    return invalid_input(fmt::format("{}: the key of {} is there twice; keep one", place, user));
  }
  if (user_of_.size() > kKeysMax) return invalid_input(fmt::format("{}: there are more than {} keys", place, kKeysMax));
  Rights& all = rights_of_[user];
  all.operates = all.operates || rights.operates;
  all.workers.insert(all.workers.end(), rights.workers.begin(), rights.workers.end());
  return {};
}

const std::string* AuthorisedKeys::user_of(const std::string& public_key) const {
  const auto found = user_of_.find(public_key);
  return found == user_of_.end() ? nullptr : &found->second;
}

bool AuthorisedKeys::may_speak_for(const std::string& user, std::string_view worker) const {
  const auto found = rights_of_.find(user);
  return found != rights_of_.end() && std::ranges::any_of(found->second.workers, [&](const std::string& pattern) {
           return matches(pattern, worker);
         });
}

bool AuthorisedKeys::may_operate(const std::string& user) const {
  const auto found = rights_of_.find(user);
  return found != rights_of_.end() && found->second.operates;
}

}  // namespace evenkeel::rebalancer
