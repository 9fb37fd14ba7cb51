#include "pipeline/trace/model_recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

tl::unexpected<Error> contradiction(const std::string& path, const ModelSpec& model, const std::string& has,
                                    const std::string& wants) {
  return invalid_input(
      fmt::format("{}: it has {} but model {} has {}; give the model that was recorded", path, has, model.name, wants),
      {"model"});
}

std::string layers_text(const std::vector<int>& ids) {
  if (ids.empty()) return "no MoE layer";
  return fmt::format("{} MoE layers ({} to {})", ids.size(), ids.front(), ids.back());
}

}  // namespace

ReadOptions read_options(const ModelSpec& model) {
  ReadOptions options;
  options.experts = model.experts;
  options.model = model.name;
  options.null_experts = model.null_experts;
  options.moe_layer_ids = model.moe_layer_ids;
  options.hidden_layers = model.hidden_layers;
  options.rounds_per_layer = model.rounds_per_layer;
  options.check = [model](const std::string& path, const RecordingHeader& header) {
    return check_model(path, header, model);
  };
  return options;
}

Status check_model(const std::string& path, const RecordingHeader& header, const ModelSpec& model) {
  const auto hidden = static_cast<int>(model.hidden_layers);
  if (header.hidden_layers && *header.hidden_layers != model.hidden_layers) {
    return contradiction(path, model, fmt::format("{} layers", *header.hidden_layers), fmt::format("{}", hidden));
  }
  std::vector<int> moe_layers = header.layer_ids;
  std::erase_if(moe_layers, [&](int layer) {
    return layer >= 0 && layer < hidden && !std::ranges::binary_search(model.moe_layer_ids, layer);
  });
  if (moe_layers != model.moe_layer_ids)
    return contradiction(path, model, layers_text(header.layer_ids), layers_text(model.moe_layer_ids));
  if (header.experts && *header.experts != model.experts) {
    return contradiction(path, model, fmt::format("{} experts", *header.experts),
                         fmt::format("{}", model.experts) + fused_expert_hint(*header.experts, model.experts));
  }
  const std::size_t top_k = header.top_k > 0 ? header.top_k : header.experts_per_token.value_or(0);
  if (top_k > 0 && top_k != model.top_k)
    return contradiction(path, model, fmt::format("top-{}", top_k), fmt::format("top-{}", model.top_k));
  if (header.top_k == 0) return {};
  for (std::size_t row = 0; row < header.layer_ids.size(); ++row) {
    const auto rounds = static_cast<std::size_t>(std::ranges::count(header.layer_of_round, row));
    const bool is_dense = !std::ranges::binary_search(model.moe_layer_ids, header.layer_ids[row]);
    if (!is_dense && rounds != model.rounds_per_layer) {
      return contradiction(path, model, fmt::format("{} rounds in layer {}", rounds, header.layer_ids[row]),
                           fmt::format("{} a layer", model.rounds_per_layer));
    }
  }
  return {};
}

}  // namespace evenkeel
