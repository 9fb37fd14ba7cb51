#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "partition/model/migration.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/notes.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/cli/parsed_option.h"
#include "pipeline/engine/layer_ranges.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/report/output_file.h"

namespace evenkeel {
namespace {

struct ConvertArguments {
  std::filesystem::path input;
  std::filesystem::path output;
  PlacementFormat format = PlacementFormat::kEvenkeel;
  std::optional<std::size_t> gpus;
  std::optional<std::size_t> nodes;
  std::optional<std::size_t> hidden_layers;
  std::optional<std::vector<int>> layer_ids;
  std::optional<ModelSpec> model;
  std::optional<std::filesystem::path> from;
};

/// A flag that says otherwise than the file would be ignored in silence.
void check_agreement(const ConvertArguments& arguments, const Placement& placement) {
  const auto check = [&](const char* flag, const std::string& given, const std::string& held) {
    if (given == held) return;
    refuse(fmt::format("{}: {} is {} but the file says {}; leave the flag out", arguments.input.string(), flag, given,
                       held));
  };
  if (arguments.gpus) check("--gpus", std::to_string(*arguments.gpus), std::to_string(placement.gpus()));
  if (arguments.nodes) check("--nodes", std::to_string(*arguments.nodes), std::to_string(placement.nodes()));
  if (arguments.layer_ids)
    check("--layer-ids", layer_ranges_text(*arguments.layer_ids), layer_ranges_text(placement.layer_ids()));
  if (!arguments.model) return;
  const ModelSpec& model = *arguments.model;
  check("--model", fmt::format("{} of {} experts", model.name, model.experts),
        fmt::format("{} of {} experts", model.name, placement.experts()));
  if (std::ranges::includes(model.moe_layer_ids, placement.layer_ids())) return;
  refuse(fmt::format("{}: model {} has MoE layers {} but the file says {}; give the model that it is of",
                     arguments.input.string(), model.name, layer_ranges_text(model.moe_layer_ids),
                     layer_ranges_text(placement.layer_ids())));
}

/// What is known of the file's layers besides what it says itself.
PlacementHints hints_of(const ConvertArguments& arguments) {
  PlacementHints hints{arguments.layer_ids.value_or(std::vector<int>()), std::nullopt, arguments.gpus,
                       arguments.nodes.value_or(1)};
  if (!arguments.model) return hints;
  const ModelSpec& model = *arguments.model;
  if (hints.layer_ids.empty()) hints.layer_ids = model.moe_layer_ids;
  hints.experts = model.experts;
  hints.hidden_layers = model.hidden_layers;
  return hints;
}

/// Says which of the model's MoE layers the file is without, as that of a stage of pipeline parallelism is.
void note_absent_layers(const ModelSpec& model, const Placement& placement) {
  std::vector<int> absent;
  std::ranges::set_difference(model.moe_layer_ids, placement.layer_ids(), std::back_inserter(absent));
  if (!absent.empty())
    print_note(fmt::format("the placement has no row for the model's MoE layers {}", layer_ranges_text(absent)));
}

/// The placement with what stays on a GPU in the slot it has in the running map.
Placement with_kept_slots(const std::filesystem::path& from, const Placement& placement,
                          std::optional<std::size_t> hidden_layers) {
  const std::vector<int> layers(placement.layer_ids().begin(), placement.layer_ids().end());
  const Placement running = value_or_exit(
      read_placement(from, {layers, placement.experts(), hidden_layers}, placement.gpus(), placement.nodes()));
  const bool is_of_model = std::ranges::equal(running.layer_ids(), placement.layer_ids());
  if (is_of_model && running.fields().slots_of_gpu != placement.fields().slots_of_gpu) {
    refuse(
        fmt::format("{}: its GPUs have other numbers of slots ({} a layer against {}); give the map that the placement "
                    "follows on the same slots",
                    from.string(), running.slots(), placement.slots()));
  }
  return value_or_exit(keep_slots(running, placement), from.string());
}

void run(const ConvertArguments& arguments, const CLI::App& program) {
  PlacementFile file = value_or_exit(read_placement_file(arguments.input, hints_of(arguments)));
  check_agreement(arguments, file.placement);
  if (arguments.from) {
    Placement kept = with_kept_slots(*arguments.from, file.placement, file.hidden_layers);
    if (kept != file.placement) {
      file.notes.push_back(
          {fmt::format("the order of slots inside GPUs is changed, so that experts that stay keep their slot of {}",
                       arguments.from->string())});
    }
    file.placement = std::move(kept);
  }
  ModelShape shape{{}, file.placement.experts(), file.hidden_layers};
  shape.layer_ids.assign(file.placement.layer_ids().begin(), file.placement.layer_ids().end());
  if (arguments.model) shape.hidden_layers = arguments.model->hidden_layers;
  if (arguments.hidden_layers) shape.hidden_layers = arguments.hidden_layers;
  ok_or_exit(write_output(arguments.output, value_or_exit(placement_text(file.placement, arguments.format, shape))));
  if (arguments.model) note_absent_layers(*arguments.model, file.placement);
  print_notes(program, file.notes);
  print_notes(program, placement_losses(file.placement, arguments.format, shape));
}

}  // namespace

void add_convert_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand("convert", "Write a placement in the format of another engine");
  auto arguments = std::make_shared<ConvertArguments>();
  command->add_option("PLACEMENT", arguments->input, "A placement of any known format")->required();
  command->add_option("-o,--output", arguments->output, "Where the placement goes; - is standard output")->required();
  add_choice(*command, "--format", arguments->format, format_names(), "Format to write")->required();
  add_setting(*command, "--gpus", arguments->gpus, "GPUs of the placement, where its format does not hold them");
  add_setting(*command, "--nodes", arguments->nodes,
              "Nodes the GPUs are spread over, where the format does not hold them; default 1");
  add_parsed(*command, "--layer-ids", arguments->layer_ids, parse_layer_ids,
             "Numbers of the model's MoE layers, such as 3-60, where the format does not hold them; default: those of "
             "--model");
  add_model_option(*command, arguments->model);
  add_setting(*command, "--hidden-layers", arguments->hidden_layers,
              "All layers of the model, for formats with a row for each; default: as in the placement, or the last MoE "
              "layer + 1")
      ->check(CLI::Range(std::size_t{1}, kLayerNumbersMax));
  command->add_option("--from", arguments->from,
                      "The placement that runs: experts that stay on a GPU keep their slot, as vllm-ascend wants");
  command->footer(
      "Examples:\n"
      "  evenkeel convert placement.json -o map.json --format sglang --hidden-layers 61\n"
      "  evenkeel convert map.json -o moe_load_balancer.yaml --format trtllm --gpus 32 --layer-ids 3-60\n"
      "  evenkeel convert planned.json -o expert_map.json --format ascend --from running.json");
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace evenkeel
