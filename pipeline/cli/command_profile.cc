#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/notes.h"
#include "pipeline/cli/progress.h"
#include "pipeline/engine/layer_ranges.h"
#include "pipeline/flags/setting.h"
#include "pipeline/profile/profile_file.h"
#include "pipeline/profile/profiler.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"
#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

struct ProfileArguments {
  InputArguments input;
  std::optional<ModelSpec> model;
  std::optional<std::uint64_t> window_tokens;
  std::optional<std::uint64_t> window_sequences;
  std::optional<std::uint64_t> window_seconds;
  ProfileOptions options;
  std::filesystem::path output;
  bool json = false;
};

ProfileOptions profile_options(const ProfileArguments& arguments) {
  ProfileOptions options = arguments.options;
  const auto set = [&](const std::optional<std::uint64_t>& size, WindowUnit unit) {
    if (!size) return;
    options.window_unit = unit;
    options.window_size = *size;
  };
  set(arguments.window_tokens, WindowUnit::kTokens);
  set(arguments.window_sequences, WindowUnit::kSequences);
  set(arguments.window_seconds, WindowUnit::kSeconds);
  return options;
}

std::uint64_t choices_counted(const Trace& profile) {
  std::uint64_t choices = 0;
  for (const StageLoad& window : profile.load_windows) {
    for (const std::uint64_t tokens : window.load_tokens.cells()) choices += tokens;
  }
  return choices;
}

nlohmann::ordered_json summary_json(const Trace& profile, std::uint64_t tokens) {
  nlohmann::ordered_json json{{"schema", "evenkeel.profile_summary/1"},
                              {"windows", profile.load_windows.size()},
                              {"layers", profile.shape.layers() - profile.undecided_layers.size()},
                              {"experts", profile.shape.experts},
                              {"choices", choices_counted(profile)}};
  json["top_k"] = nullptr;
  if (!profile.paths.empty()) json["top_k"] = profile.paths.top_k;
  json["tokens_read"] = tokens;
  json["tokens_sampled"] = profile.paths.tokens();
  json["paths_one_in"] = profile.paths_one_in;
  return json;
}

std::string summary_table(const Trace& profile, std::uint64_t tokens) {
  Table table({"profile", ""});
  table.add({"windows", fmt::format("{}", profile.load_windows.size())});
  table.add({"layers x experts",
             fmt::format("{} x {}", profile.shape.layers() - profile.undecided_layers.size(), profile.shape.experts)});
  table.add({"expert choices counted", fmt::format("{}", choices_counted(profile))});
  if (!profile.paths.empty()) {
    table.add({"tokens read", fmt::format("{}", tokens)});
    table.add({"token paths kept", fmt::format("{} (one in {})", profile.paths.tokens(), profile.paths_one_in)});
  }
  return table.text();
}

void run(const ProfileArguments& arguments) {
  Progress progress;
  Profiler profiler(profile_options(arguments));
  arguments.input.read_into(profiler, arguments.model, progress);
  const std::uint64_t tokens = profiler.tokens_read();
  const Trace profile = value_or_exit(profiler.finish());
  progress.show("writing");
  ok_or_exit(write_profile(arguments.output, profile));
  progress.show("");
  if (!profile.undecided_layers.empty()) {
    print_note(
        fmt::format("layers {} have no load in any window: they are dense, unless a recording that is merged, "
                    "--model or --layer-ids says otherwise",
                    layer_ranges_text(profile.undecided_layers)));
  }
  ok_or_exit(write_output(
      "-", arguments.json ? json_text(summary_json(profile, tokens))
                          : summary_table(profile, tokens) + fmt::format("wrote {}\n", arguments.output.string())));
}

}  // namespace

void add_profile_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "profile", "Add recordings up into a routing profile: exact loads a window and a sample of token paths");
  auto arguments = std::make_shared<ProfileArguments>();
  arguments->input.add_to(*command);
  add_model_option(*command, arguments->model);
  const CLI::Range at_least_one(std::uint64_t{1}, std::uint64_t{1} << 62);
  auto* const by_tokens =
      add_setting(*command, "--window-tokens", arguments->window_tokens, "End a window after so many tokens")
          ->check(at_least_one);
  auto* const by_sequences = add_setting(*command, "--window-sequences", arguments->window_sequences,
                                         "End a window after so many sequences; merges so many windows of loads")
                                 ->check(at_least_one)
                                 ->excludes(by_tokens);
  add_setting(*command, "--window-seconds", arguments->window_seconds, "End a window after so many recorded seconds")
      ->check(at_least_one)
      ->excludes(by_tokens)
      ->excludes(by_sequences);
  add_setting(*command, "--skip", arguments->options.skip_windows, "Windows left out at the start: warm-up")
      ->capture_default_str();
  add_stage_setting(*command, arguments->options.stage);
  add_setting(*command, "--sample-tokens", arguments->options.sample_tokens_max, "Token paths kept at most")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 26))
      ->capture_default_str();
  command->add_option("-o,--output", arguments->output, "Where the profile NPZ goes")->required();
  command->add_flag("--json", arguments->json, "Print what the profile holds as JSON instead of a table");
  command->footer(
      "Examples:\n"
      "  evenkeel profile trace.npz -o profile.npz\n"
      "  evenkeel profile monday.npz tuesday.npz -o both.npz\n"
      "  evenkeel profile trace.npz --window-tokens 100000 --skip 1 -o steady.npz");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace evenkeel
