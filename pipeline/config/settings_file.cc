#include "pipeline/config/settings_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "pipeline/config/strict_yaml.h"

namespace evenkeel {
namespace {

std::string spelled(std::string name, char from, char to) {
  std::ranges::replace(name, from, to);
  return name;
}

}  // namespace

std::vector<std::string> setting_keys(const CLI::App& program) {
  std::vector<std::string> keys;
  for (const CLI::Option* option : program.get_options()) {
    if (option->get_envname().empty() || option->get_lnames().empty() || option->check_lname("config")) continue;
    keys.push_back(spelled(option->get_lnames().front(), '-', '_'));
  }
  return keys;
}

Status apply_settings_file(CLI::App& program, const std::filesystem::path& path) {
  EVENKEEL_TRY(file, StrictYaml::read(path, setting_keys(program)));
  for (const auto& [key, text] : file.entries()) {
    CLI::Option* const option = program.get_option("--" + spelled(key, '_', '-'));
    if (option->count() > 0) continue;
    try {
      option->add_result(text);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      return invalid_input(fmt::format("{}: key '{}': {}", path.string(), key, error.what()));
    }
  }
  return {};
}

std::map<std::string, std::string> given_settings(const CLI::App& program) {
  std::map<std::string, std::string> given;
  for (const std::string& key : setting_keys(program)) {
    const CLI::Option* const option = program.get_option("--" + spelled(key, '_', '-'));
    if (option->count() > 0) given[key] = option->results().back();
  }
  return given;
}

std::vector<std::string> changed_settings(const std::map<std::string, std::string>& running,
                                          const std::map<std::string, std::string>& wanted,
                                          std::span<const std::string_view> reloadable) {
  std::vector<std::pair<std::string, std::string>> changed;
  std::ranges::set_symmetric_difference(running, wanted, std::back_inserter(changed));
  std::set<std::string> keys;
  for (const auto& [key, value] : changed) {
    if (std::ranges::find(reloadable, key) == reloadable.end()) keys.insert(key);
  }
  return {keys.begin(), keys.end()};
}

}  // namespace evenkeel
