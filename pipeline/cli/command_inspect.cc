#include <memory>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/progress.h"
#include "pipeline/flags/setting.h"
#include "pipeline/inspect/inspection.h"
#include "pipeline/inspect/inspection_json.h"
#include "pipeline/inspect/inspection_text.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"

namespace evenkeel {
namespace {

struct InspectArguments {
  InputArguments input;
  std::optional<ModelSpec> model;
  InspectOptions options;
  bool json = false;
};

nlohmann::ordered_json options_json(const InspectArguments& arguments) {
  const InspectOptions& options = arguments.options;
  nlohmann::ordered_json json{{"traces", nlohmann::ordered_json::array()}};
  for (const auto& path : arguments.input.traces) json["traces"].push_back(path.string());
  json["windows"] = options.windows;
  json["segments"] = options.segments;
  json["cache_ratios"] = options.cache_ratios;
  if (options.gpus) json["gpus"] = *options.gpus;
  json["cache_tokens"] = options.cache_tokens;
  json["seed"] = options.seed;
  return json;
}

void run(const InspectArguments& arguments) {
  ok_or_exit(arguments.options.validate());
  Progress progress;
  const Trace trace = arguments.input.read(arguments.model, progress);
  progress.show("measuring");
  const Inspection inspection = value_or_exit(inspect(trace, arguments.options));
  progress.show("");
  ok_or_exit(write_output("-", arguments.json ? json_text(inspection_json(options_json(arguments), inspection))
                                              : inspection_text(inspection, terminal_style())));
}

}  // namespace

void add_inspect_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "inspect", "Look into a trace: shape, skew, drift, affinity, fan-out, local routing consistency");
  auto arguments = std::make_shared<InspectArguments>();
  InspectOptions& options = arguments->options;
  arguments->input.add_to(*command);
  add_model_option(*command, arguments->model);
  add_setting(*command, "--windows", options.windows, "Parts to compare where the trace marks no windows")
      ->capture_default_str();
  add_setting(*command, "--segments", options.segments, "Tokens of a segment, for SRP and SCH; with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole_number())
      ->capture_default_str();
  add_setting(*command, "--cache-ratios", options.cache_ratios,
              "Places of a cache over experts a token uses, for SCH; with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(finite_number())
      ->capture_default_str();
  add_setting(*command, "--cache-tokens", options.cache_tokens,
              "About how many tokens to replay through caches: whole sequences, evenly spread; 0 is all")
      ->capture_default_str();
  add_setting(*command, "--gpus", options.gpus, "Also measure the placement in order on this many GPUs");
  add_setting(*command, "--seed", options.seed, "Seed of what is dealt at random to measure noise")
      ->capture_default_str();
  add_setting(*command, "--threads", options.threads, "Threads: 1 or 2; the figures are the same")
      ->check(CLI::Range(std::size_t{1}, std::size_t{2}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Print the figures as JSON (docs/reference/inspect.md)");
  command->footer(
      "Examples:\n"
      "  evenkeel inspect trace.npz\n"
      "  evenkeel inspect monday.json tuesday.json --gpus 32\n"
      "  evenkeel inspect trace.npz --segments 8,32 --cache-ratios 1.5,2 --json");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace evenkeel
