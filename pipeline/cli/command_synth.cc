#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/progress.h"
#include "pipeline/flags/setting.h"
#include "pipeline/report/output_file.h"
#include "pipeline/synth/synth_trace.h"

namespace evenkeel {
namespace {

struct SynthArguments {
  std::optional<ModelSpec> model;
  std::optional<std::size_t> layers;
  std::optional<std::size_t> experts;
  std::optional<std::size_t> top_k;
  SynthOptions options;
  std::filesystem::path output;
};

/// The model, or one of the given shape without anything else.
ModelSpec shape_of(const SynthArguments& arguments) {
  if (arguments.model) {
    if (arguments.layers || arguments.experts || arguments.top_k)
      refuse(fmt::format("both --model {} and --layers, --experts or --top-k are given; give one or the other",
                         arguments.model->name));
    return *arguments.model;
  }
  if (!arguments.layers || !arguments.experts || !arguments.top_k)
    refuse("no shape is given; pass --model NAME, or --layers L, --experts E and --top-k K");
  if (*arguments.top_k > *arguments.experts)
    refuse(
        fmt::format("--top-k is {} but --experts is {}; give at most as many", *arguments.top_k, *arguments.experts));
  ModelSpec shape;
  shape.name = fmt::format("{} x {}", *arguments.layers, *arguments.experts);
  shape.hidden_layers = *arguments.layers;
  shape.moe_layer_ids.resize(*arguments.layers);
  std::iota(shape.moe_layer_ids.begin(), shape.moe_layer_ids.end(), 0);
  shape.experts = *arguments.experts;
  shape.top_k = *arguments.top_k;
  return shape;
}

void run(const SynthArguments& arguments) {
  if (arguments.output == "-") refuse("-o is -, but an archive is no stream; give the path of a file");
  const ModelSpec shape = shape_of(arguments);
  Progress progress;
  progress.show("making up a router");
  const SynthSummary summary =
      value_or_exit(write_synthetic_trace(arguments.output, shape, arguments.options, [&](double share) {
        progress.show(fmt::format("routing tokens: {:.0f} %", 100 * share));
      }));
  progress.show("");
  ok_or_exit(write_output("-", fmt::format("wrote {} ({} tokens in {} sequences, {} layers of {} experts, top-{})\n",
                                           arguments.output.string(), summary.tokens, summary.sequences,
                                           shape.moe_layer_ids.size(), shape.experts, shape.top_k)));
}

}  // namespace

void add_synth_command(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("synth", "Make up a trace whose routing is like that of a real model");
  auto arguments = std::make_shared<SynthArguments>();
  SynthOptions& options = arguments->options;
  add_model_option(*command, arguments->model);
  add_setting(*command, "--layers", arguments->layers, "MoE layers, without --model")
      ->check(CLI::Range(std::size_t{1}, std::size_t{4096}));
  add_setting(*command, "--experts", arguments->experts, "Experts of a layer, without --model")
      ->check(CLI::Range(std::size_t{1}, std::size_t{4096}));
  add_setting(*command, "--top-k", arguments->top_k, "Experts a token chooses, without --model")
      ->check(CLI::Range(std::size_t{1}, std::size_t{256}));
  add_setting(*command, "--tokens", options.tokens, "Tokens of the trace")->capture_default_str();
  add_setting(*command, "--seed", options.seed, "Seed of everything random")->capture_default_str();
  add_setting(*command, "--windows", options.windows, "Windows of equally many tokens")->capture_default_str();
  add_setting(*command, "--drift", options.drift,
              "How far the kinds of text change from the first window to the last: 0 not at all, 1 turned round")
      ->capture_default_str();
  add_setting(*command, "--shift-at", options.shift_at, "Window, from 0, at which the kinds of text change at once");
  add_setting(*command, "--threads", options.threads, "Threads: 1 or 2; the trace is the same")
      ->check(CLI::Range(std::size_t{1}, std::size_t{2}))
      ->capture_default_str();
  command->add_option("-o,--output", arguments->output, "Where the trace goes, as native NPZ")->required();
  command->footer(
      "Examples:\n"
      "  evenkeel synth --model deepseek-v2-lite --tokens 100000 --seed 1 -o trace.npz\n"
      "  evenkeel synth --model deepseek-v3 --tokens 200000 --windows 40 --drift 0.5 --shift-at 27 -o day.npz\n"
      "  evenkeel synth --layers 4 --experts 16 --top-k 2 --tokens 20000 -o small.npz");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace evenkeel
