#include "pipeline/flags/field_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace evenkeel {
namespace {

/// Fields whose flag is not their own name with dashes.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kFlags{{
    {"gain_min_ratio", "min-gain"},
    {"guard_ratio", "guard"},
    {"interval_windows", "min-interval-windows"},
    {"moves_ratio_max", "max-moves"},
    {"stall_ratio", "stall"},
    {"window_steps", "steps-per-window"},
}};

std::string flag_of(std::string field) {
  const auto renamed = std::ranges::find(kFlags, field, &std::pair<std::string_view, std::string_view>::first);
  if (renamed != kFlags.end()) return std::string(renamed->second);
  std::ranges::replace(field, '_', '-');
  return field;
}

bool has_flag(const CLI::App& app, const std::string& flag) { return app.get_option_no_throw("--" + flag) != nullptr; }

std::optional<std::string> shown_flag(const CLI::App& program, const std::string& field) {
  const std::string flag = flag_of(field);
  const auto chosen = program.get_subcommands();
  if (has_flag(chosen.empty() ? program : *chosen.front(), flag)) return "--" + flag;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    if (has_flag(*command, flag)) return fmt::format("{} {} --{}", program.get_name(), command->get_name(), flag);
  }
  return std::nullopt;
}

}  // namespace

std::string with_flags(const CLI::App& program, std::string message, const std::vector<std::string>& fields) {
  std::vector<std::string> flags;
  for (const std::string& field : fields) {
    if (auto flag = shown_flag(program, field)) flags.push_back(*std::move(flag));
  }
  if (!flags.empty()) message += fmt::format(" ({})", fmt::join(flags, ", "));
  return message;
}

}  // namespace evenkeel
