#include "pipeline/cli/input_arguments.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/notes.h"
#include "pipeline/cli/parsed_option.h"
#include "pipeline/cli/standard_input.h"
#include "pipeline/config/strict_yaml.h"
#include "pipeline/engine/layer_ranges.h"
#include "pipeline/flags/setting.h"
#include "pipeline/trace/model_recording.h"

namespace evenkeel {
namespace {

Result<std::vector<std::size_t>> parse_layers(const std::string& flag, const std::string& text) {
  auto layers = parse_numbers(text, kLayersBelow);
  if (layers && !layers->empty()) return *std::move(layers);
  return invalid_input(fmt::format("{} is '{}'; give numbers and ranges such as 3-57 or 0,4,8-20/2", flag, text));
}

/// As many files as the system lets this process have: the dumps of a run are open at once.
void allow_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  // Where it may not, opening says so.
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

}  // namespace

Result<std::vector<int>> parse_layer_ids(const std::string& flag, const std::string& text) {
  auto layers = parse_layer_ranges(text);
  if (!layers) return tl::unexpected(layers.error().about(flag));
  return layers;
}

void InputArguments::add_to(CLI::App& command) {
  command
      .add_option(
          "TRACE", traces,
          "Recorded routing in any format of docs/reference/formats.md, - for standard input; several are read as one")
      ->required();
  add_setting(command, "--experts", experts,
              "Experts of a layer, where the trace does not tell; default: largest id + 1")
      ->check(CLI::Range(std::size_t{1}, kExpertsMax));
  add_parsed(command, "--layer-ids", layer_ids, parse_layer_ids,
             "Numbers of the MoE layers, such as 3-60; default: those of --model, or what the trace says; layers that "
             "nothing says it of are MoE layers where they have load");
}

ReadOptions InputArguments::options_for(const std::optional<ModelSpec>& model) const {
  if (model && experts && *experts != model->experts) {
    refuse(
        fmt::format("--experts is {} but model {} has {}; give --model alone", *experts, model->name, model->experts));
  }
  if (model && layer_ids && *layer_ids != model->moe_layer_ids) {
    refuse(fmt::format("--layer-ids is {} but model {} has MoE layers {}; give --model alone",
                       layer_ranges_text(*layer_ids), model->name, layer_ranges_text(model->moe_layer_ids)));
  }
  if (model) return read_options(*model);
  ReadOptions options{experts};
  if (layer_ids) options.moe_layer_ids = *layer_ids;
  return options;
}

void InputArguments::with_files(const std::optional<ModelSpec>& model, Progress& progress, const Read& read) const {
  ReadOptions options = options_for(model);
  options.progress = [&progress](double share) { progress.show_share("reading", share); };
  allow_open_files();
  // Told once the bar is gone.
  std::vector<std::string> notes;
  options.note = [&notes](const std::string& text) { notes.push_back(text); };
  const auto tell = [&](const auto& renamed) {
    if (!notes.empty()) progress.show("");
    for (const std::string& note : notes) print_note(renamed(note));
  };
  std::vector<std::filesystem::path> paths = traces;
  const auto standard_input = std::ranges::find(paths, "-");
  if (standard_input == paths.end()) {
    ok_or_exit(read(paths, options));
    return tell([](const std::string& note) { return note; });
  }
  if (std::ranges::count(paths, "-") > 1) {
    refuse("- is given twice; standard input can be read once");
  }
  const StandardInput input = value_or_exit(StandardInput::copy());
  *standard_input = input.path();
  if (const Status status = read(paths, options); !status) {
    throw CommandError{{status.error().code, input.renamed(status.error().message), status.error().fields}};
  }
  tell([&](const std::string& note) { return input.renamed(note); });
}

Trace InputArguments::read(const std::optional<ModelSpec>& model, Progress& progress) const {
  Trace trace;
  with_files(model, progress, [&](const auto& paths, const ReadOptions& options) -> Status {
    EVENKEEL_TRY(read, read_traces(paths, options));
    trace = std::move(read);
    return {};
  });
  if (!trace.undecided_layers.empty()) {
    progress.show("");
    print_note(
        fmt::format("layers {} have no load in any window and are taken as dense; --model or --layer-ids says "
                    "which layers are MoE layers",
                    layer_ranges_text(trace.undecided_layers)));
  }
  return trace;
}

void InputArguments::read_into(RecordingSink& sink, const std::optional<ModelSpec>& model, Progress& progress) const {
  with_files(model, progress,
             [&](const auto& paths, const ReadOptions& options) { return read_recordings(paths, options, sink); });
}

void SelectionArguments::add_to(CLI::App& command) {
  add_setting(command, "--skip", selection.skip_windows, "Windows left out at the start: warm-up")
      ->capture_default_str();
  add_stage_setting(command, selection.stage);
  add_parsed(command, "--layers", selection.layers, parse_layers,
             "Only these layers, such as 3-57: the others are left out");
}

Trace SelectionArguments::of_group(const InputArguments& input, const EpGroup& group, Trace trace) const {
  ok_or_exit(select({0, group.stage, group.layers}, trace, input.traces.front().string()));
  return trace;
}

Trace SelectionArguments::read(const InputArguments& input, const std::optional<ModelSpec>& model,
                               Progress& progress) const {
  Trace trace = input.read(model, progress);
  ok_or_exit(select(selection, trace, input.traces.front().string()));
  return trace;
}

}  // namespace evenkeel
