#include "pipeline/engine/placement_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "pipeline/engine/ascend_placement.h"
#include "pipeline/engine/evenkeel_placement.h"
#include "pipeline/engine/layer_assignments.h"
#include "pipeline/engine/layer_ranges.h"
#include "pipeline/engine/pattern_placement.h"
#include "pipeline/engine/placement_document.h"
#include "pipeline/engine/sglang_placement.h"
#include "pipeline/engine/trtllm_placement.h"
#include "pipeline/engine/vllm_placement.h"
#include "pipeline/trace/npy_recording.h"

namespace evenkeel {
namespace {

using nlohmann::json;

/// How a format counts layers.
enum class Layers { kAbsolute, kFromZero, kEveryHidden };

struct Format {
  PlacementFormat id;
  const char* name;
  Layers layers;
  bool holds_gpus;
  /// Nodes and uneven shares.
  bool holds_all_else;
  Result<std::string> (*write)(const Placement&, const ModelShape&);
  bool (*recognises)(const json&);
  Result<PlacementFile> (*parse)(const json&, const std::string& path, const PlacementHints&);
};

bool has_key(const json& document, const char* key) { return document.is_object() && document.contains(key); }

const std::array<Format, 6> kFormats{{
    {PlacementFormat::kEvenkeel, "evenkeel", Layers::kAbsolute, true, true,
     [](const Placement& placement, const ModelShape&) -> Result<std::string> {
       return evenkeel_placement_text(placement);
     },
     [](const json& document) { return has_key(document, "schema"); },
     [](const json& document, const std::string& path, const PlacementHints&) {
       return parse_evenkeel_placement(document, path);
     }},
    {PlacementFormat::kSglang, "sglang", Layers::kEveryHidden, false, false, sglang_placement_text,
     [](const json& document) { return has_key(document, "physical_to_logical_map"); }, parse_sglang_placement},
    {PlacementFormat::kVllm, "vllm", Layers::kFromZero, false, false,
     [](const Placement& placement, const ModelShape&) { return vllm_placement_text(placement); },
     [](const json& document) { return has_key(document, "record_type") && document["record_type"] == kVllmMapRecord; },
     parse_vllm_placement},
    {PlacementFormat::kVllmPr49572, "vllm-pr49572", Layers::kFromZero, false, false,
     [](const Placement& placement, const ModelShape&) { return vllm_list_placement_text(placement); },
     [](const json& document) { return document.is_array(); }, parse_vllm_list_placement},
    {PlacementFormat::kTrtllm, "trtllm", Layers::kAbsolute, false, false,
     [](const Placement& placement, const ModelShape&) { return trtllm_placement_text(placement); },
     [](const json& document) {
       const bool is_online = has_key(document, "num_slots") || has_key(document, kUpdatesKey);
       return (has_key(document, kAssignmentsKey) || is_online) && !has_key(document, "record_type");
     },
     parse_trtllm_placement},
    {PlacementFormat::kAscend, "ascend", Layers::kFromZero, true, false,
     [](const Placement& placement, const ModelShape&) { return ascend_placement_text(placement); },
     [](const json& document) { return has_key(document, "layer_list"); }, parse_ascend_placement},
}};

bool is_npy_file(const std::filesystem::path& path) {
  std::error_code error;
  std::array<char, 8> head{};
  if (std::filesystem::is_regular_file(path, error))
    std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  return is_npy({head.data(), head.size()});
}

const Format& format_of(PlacementFormat id) { return *std::ranges::find(kFormats, id, &Format::id); }

/// What is lost of the numbers of the layers.
std::optional<Note> layer_loss(const Placement& placement, const Format& format, const ModelShape& shape) {
  const std::string layers = layer_ranges_text(placement.layer_ids());
  const std::size_t hidden_layers = hidden_layers_of(placement, shape);
  const bool has_dense = hidden_layers != placement.layers();
  if (format.layers == Layers::kEveryHidden && has_dense) {
    return Note{fmt::format("which of the {} rows are MoE layers; read it with layer ids {}", hidden_layers, layers),
                {"layer_ids"}};
  }
  if (format.layers == Layers::kFromZero &&
      static_cast<std::size_t>(placement.layer_ids().back()) + 1 != placement.layers()) {
    return Note{fmt::format("the numbers of the MoE layers, its rows count from 0; read it with layer ids {}", layers),
                {"layer_ids"}};
  }
  if (format.layers == Layers::kAbsolute && hidden_layers != static_cast<std::size_t>(placement.layer_ids().back()) + 1)
    return Note{fmt::format("the number of hidden layers ({})", hidden_layers)};
  return std::nullopt;
}

}  // namespace

const std::vector<std::string>& placement_format_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Format& format : kFormats) list.emplace_back(format.name);
    return list;
  }();
  return names;
}

std::optional<PlacementFormat> placement_format(std::string_view name) {
  const auto format = std::ranges::find(kFormats, name, &Format::name);
  return format == kFormats.end() ? std::nullopt : std::optional(format->id);
}

Result<std::string> placement_text(const Placement& placement, PlacementFormat format, const ModelShape& shape) {
  return format_of(format).write(placement, shape);
}

std::vector<Note> placement_losses(const Placement& placement, PlacementFormat id, const ModelShape& shape) {
  const Format& format = format_of(id);
  std::vector<Note> losses;
  const auto add = [&](Note loss) {
    losses.push_back({fmt::format("format {} does not hold {}", format.name, loss.text), std::move(loss.fields)});
  };
  if (!format.holds_gpus)
    add({fmt::format("the number of GPUs; read it as one of {} GPUs", placement.gpus()), {"gpus"}});
  if (!format.holds_all_else && placement.nodes() > 1)
    add({fmt::format("the number of nodes; read it as one of {} nodes", placement.nodes()), {"nodes"}});
  if (!format.holds_all_else && placement.fields().shares)
    add({"the shares of replicas; engines split an expert's tokens evenly"});
  if (const auto loss = layer_loss(placement, format, shape)) add(*loss);
  if (format.layers == Layers::kEveryHidden && !shape.hidden_layers) {
    losses.push_back({fmt::format("{} rows are written, one for each hidden layer up to the last MoE layer; give the "
                                  "number of hidden layers where the model has more",
                                  hidden_layers_of(placement, shape)),
                      {"hidden_layers"}});
  }
  return losses;
}

Result<PlacementFile> read_placement_file(const std::filesystem::path& path, const PlacementHints& hints) {
  if (is_npy_file(path)) return read_pattern_placement(path, hints);
  EVENKEEL_TRY(document, read_placement_document(path));
  const auto format = std::ranges::find_if(kFormats, [&](const Format& known) { return known.recognises(document); });
  if (format != kFormats.end()) return format->parse(document, path.string(), hints);
  return invalid_input(fmt::format("{}: it is no placement of a known format; give one of {}, or a pattern in .npy",
                                   path.string(), fmt::join(placement_format_names(), ", ")));
}

Result<Placement> read_placement(const std::filesystem::path& path, const ModelShape& shape, std::size_t gpus,
                                 std::size_t nodes) {
  PlacementHints hints{shape.layer_ids, shape.experts, gpus, nodes, shape.hidden_layers};
  // Layers numbered from 0 may be MoE layers alone: then a row for every hidden layer would be another layer's.
  const bool count_from_zero = static_cast<std::size_t>(shape.layer_ids.back()) + 1 == shape.layers();
  if (!hints.hidden_layers && count_from_zero) hints.hidden_layers = shape.layers();
  EVENKEEL_TRY(file, read_placement_file(path, hints));
  const auto layers = file.placement.layer_ids();
  if (std::ranges::equal(layers, shape.layer_ids)) return std::move(file.placement);
  return invalid_input(fmt::format("{}: it is of {} layers ({}) but the trace or model has {} MoE layers ({}); give a "
                                   "placement of this model, or say which are its MoE layers",
                                   path.string(), layers.size(), layer_ranges_text(layers), shape.layers(),
                                   layer_ranges_text(shape.layer_ids)),
                       {"model", "layer_ids"});
}

}  // namespace evenkeel
