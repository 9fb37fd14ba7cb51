#include "pipeline/trace/known_layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace evenkeel {
namespace {

/// What says which layers are MoE layers, for messages.
std::string known_from(const ReadOptions& options) {
  return options.model.empty() ? "the given layer ids say" : fmt::format("model {} says", options.model);
}

std::vector<std::string> fields_of(const ReadOptions& options) {
  return {options.model.empty() ? "layer_ids" : "model"};
}

}  // namespace

Result<RecordingHeader> KnownLayersSink::with_known_layers(const RecordingHeader& header) {
  const std::vector<int>& moe = options_.moe_layer_ids;
  std::vector<int> lacking;
  std::ranges::set_difference(moe, header.layer_ids, std::back_inserter(lacking));
  if (!lacking.empty()) {
    return invalid_input(
        fmt::format("{}: it has no layer {} but {} that it is an MoE layer; its layers are {} to {}", path_,
                    lacking.front(), known_from(options_), header.layer_ids.front(), header.layer_ids.back()),
        fields_of(options_));
  }
  new_row_.clear();
  for (const int layer : header.layer_ids) {
    const auto at = std::ranges::lower_bound(moe, layer);
    const bool is_moe = at != moe.end() && *at == layer;
    new_row_.push_back(is_moe ? std::optional(static_cast<std::uint32_t>(at - moe.begin())) : std::nullopt);
  }
  has_dense_ = header.layer_ids.size() != moe.size();
  RecordingHeader known = header;
  known.layer_ids = known.moe_layer_ids = moe;
  if (!known.hidden_layers && has_dense_) known.hidden_layers = static_cast<std::size_t>(header.layer_ids.back()) + 1;
  known.layer_of_round.clear();
  for (const std::uint32_t row : header.layer_of_round) {
    if (new_row_[row]) known.layer_of_round.push_back(*new_row_[row]);
  }
  return known;
}

tl::unexpected<Error> KnownLayersSink::dense_with_load(int layer) const {
  return invalid_input(
      fmt::format("{}: layer {} has load but {} that it is dense; give the model that was recorded, or correct it",
                  path_, layer, known_from(options_)),
      fields_of(options_));
}

Status KnownLayersSink::begin(const std::string& path, const RecordingHeader& header) {
  path_ = path;
  header_ = header;
  has_dense_ = false;
  if (options_.check) EVENKEEL_TRY_STATUS(options_.check(path, header));
  RecordingHeader known = header;
  if (options_.hidden_layers) known.hidden_layers = options_.hidden_layers;
  if (options_.moe_layer_ids.empty()) return sink_.begin(path, known);
  EVENKEEL_TRY(with_layers, with_known_layers(known));
  return sink_.begin(path, with_layers);
}

Status KnownLayersSink::loads(StageLoad window) {
  if (!has_dense_) return sink_.loads(std::move(window));
  Grid<std::uint64_t> kept(options_.moe_layer_ids.size(), window.load_tokens.cols());
  for (std::size_t row = 0; row < new_row_.size(); ++row) {
    const auto counts = window.load_tokens[row];
    if (new_row_[row]) {
      std::ranges::copy(counts, kept[*new_row_[row]].begin());
    } else if (std::ranges::any_of(counts, [](auto tokens) { return tokens > 0; })) {
      return dense_with_load(header_.layer_ids[row]);
    }
  }
  window.load_tokens = std::move(kept);
  return sink_.loads(std::move(window));
}

Status KnownLayersSink::tokens(std::span<const ExpertIndex> experts) {
  if (!has_dense_) return sink_.tokens(experts);
  const std::size_t top_k = header_.top_k;
  kept_.clear();
  for (std::size_t i = 0; i < experts.size(); i += top_k) {
    const auto chosen = experts.subspan(i, top_k);
    const std::uint32_t row = header_.layer_of_round[i / top_k % header_.layer_of_round.size()];
    if (new_row_[row]) {
      kept_.insert(kept_.end(), chosen.begin(), chosen.end());
    } else if (std::ranges::any_of(chosen, [](ExpertIndex expert) { return expert != kNoExpert; })) {
      return dense_with_load(header_.layer_ids[row]);
    }
  }
  return sink_.tokens(kept_);
}

}  // namespace evenkeel
