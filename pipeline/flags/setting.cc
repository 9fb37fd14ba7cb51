#include "pipeline/flags/setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

#include "pipeline/flags/nearest.h"

namespace evenkeel {
namespace {

/// Every word a command takes that starts with two dashes.
std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

/// The first word of the command line that `accepted` does not hold and `is_candidate` takes, with the nearest that it
/// does.
template <class Filter>
std::optional<std::string> unknown_word(int argc, char** argv, const std::vector<std::string>& accepted,
                                        Filter is_candidate) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::string word = argument.substr(0, argument.find('='));
    if (!is_candidate(word) || std::ranges::find(accepted, word) != accepted.end()) continue;
    return fmt::format("'{}' is unknown{}", word, did_you_mean(word, accepted));
  }
  return std::nullopt;
}

/// "EVENKEEL" and "min-tokens" as EVENKEEL_MIN_TOKENS.
std::string variable(std::string name, const std::string& words) {
  if (!name.empty()) name += '_';
  for (const char c : words) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

CLI::Validator whole_number() {
  return {[](const std::string& text) {
            std::uint64_t number = 0;
            const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
            const bool is_whole = code == std::errc() && end == text.data() + text.size();
            return is_whole ? std::string() : fmt::format("'{}' is no whole number of 0 or above", text);
          },
          ""};
}

CLI::Validator finite_number() {
  return {[](const std::string& text) {
            double number = 0;
            const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
            const bool is_finite = code == std::errc() && end == text.data() + text.size() && std::isfinite(number);
            return is_finite ? std::string() : fmt::format("'{}' is no number", text);
          },
          ""};
}

std::string environment_name(const std::string& flag) {
  return variable("EVENKEEL", flag.substr(flag.rfind("--") + 2));
}

std::string environment_name(const CLI::App& command, const std::string& flag) {
  const bool is_program = command.get_name().starts_with("evenkeel-");
  return is_program ? variable(variable("", command.get_name()), flag.substr(flag.rfind("--") + 2))
                    : environment_name(flag);
}

void add_stage_setting(CLI::App& command, std::optional<Stage>& stage) {
  std::vector<std::string> names;
  for (const Stage known : kAllStages) names.emplace_back(stage_name(known));
  command
      .add_option_function<std::string>(
          "--stage", [&stage](const std::string& name) { stage = *parse_stage(name); }, "Only traffic of this stage")
      ->check(CLI::IsMember(names))
      ->envname(environment_name(command, "--stage"));
}

std::string usage_message(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const auto chosen = program.get_subcommands();
  const auto commands = program.get_subcommands([](const CLI::App*) { return true; });
  std::optional<std::string> message;
  if (chosen.empty() && program.get_require_subcommand_min() > 0) {
    std::vector<std::string> names;
    for (const CLI::App* command : commands) names.push_back(command->get_name());
    message = unknown_word(argc, argv, names, [](const std::string& word) { return !word.starts_with('-'); });
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr ||
             dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    // What is missing may be there under a mistaken name.
    message = unknown_word(argc, argv, flags_of(chosen.empty() ? program : *chosen.front()),
                           [](const std::string& word) { return word.starts_with("--"); });
  }
  return fmt::format("{}; see '{}{} --help'", message.value_or(error.what()), program.get_name(),
                     chosen.empty() ? "" : " " + chosen.front()->get_name());
}

}  // namespace evenkeel
