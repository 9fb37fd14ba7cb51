#include "pipeline/synth/synth_trace.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "pipeline/report/npz_writer.h"
#include "pipeline/synth/router.h"
#include "pipeline/synth/token_blocks.h"
#include "pipeline/synth/traffic.h"

namespace evenkeel {
namespace {

/// What keeps a router's tables within a gigabyte or so.
constexpr std::size_t kExpertsInAllMax = 1 << 20;
constexpr std::size_t kExpertsOfLayerMax = 4096;

Status check_shape(const ModelSpec& model) {
  const std::size_t of_layer = model.experts + model.null_experts;
  if (of_layer <= kExpertsOfLayerMax && of_layer * model.rounds() <= kExpertsInAllMax) return {};
  return invalid_input(
      fmt::format("model {} has {} rounds of {} experts; at most {} experts a layer and {} in all can be "
                  "made up",
                  model.name, model.rounds(), of_layer, kExpertsOfLayerMax, kExpertsInAllMax));
}

/// Share of all tokens in each category. Windows are equally long, so their mixes count alike.
std::vector<double> category_mix(const SynthOptions& options) {
  std::vector<double> mix(kCategories, 0);
  for (std::size_t window = 0; window < options.windows; ++window) {
    const std::vector<double> domains = domain_mix(options, window);
    for (std::size_t category = 0; category < kCategories; ++category) {
      mix[category] += domains[category / kStages] / static_cast<double>(kStages * options.windows);
    }
  }
  return mix;
}

template <class T>
void add_array(NpzWriter& writer, const char* name, const char* dtype, const std::vector<T>& values) {
  writer.add(name, dtype, {values.size()}, std::as_bytes(std::span(values)));
}

void add_labels(NpzWriter& writer, const ModelSpec& model, const SynthOptions& options,
                const std::vector<SyntheticSequence>& sequences) {
  std::vector<std::int64_t> start;
  std::vector<std::uint32_t> window;
  std::string stage;
  for (const SyntheticSequence& sequence : sequences) {
    start.push_back(static_cast<std::int64_t>(sequence.first_token));
    window.push_back(sequence.window);
    // Seven bytes each, as "|S7" has them.
    stage += sequence.is_decode() ? std::string_view("decode\0", 7) : std::string_view("prefill", 7);
  }
  start.push_back(static_cast<std::int64_t>(options.tokens));
  std::vector<std::int64_t> layer_ids;
  for (const int layer : model.moe_layer_ids) layer_ids.insert(layer_ids.end(), model.rounds_per_layer, layer);
  add_array(writer, "seq_start", "<i8", start);
  add_array(writer, "layer_ids", "<i8", layer_ids);
  add_array(writer, "experts", "<i8", std::vector<std::int64_t>{static_cast<std::int64_t>(model.experts)});
  add_array(writer, "window", "<u4", window);
  writer.add("stage", "|S7", {sequences.size()}, std::as_bytes(std::span(stage)));
}

}  // namespace

Result<SynthSummary> write_synthetic_trace(const std::filesystem::path& path, const ModelSpec& model,
                                           const SynthOptions& options, const std::function<void(double)>& progress) {
  EVENKEEL_TRY_STATUS(options.validate());
  EVENKEEL_TRY_STATUS(check_shape(model));
  const std::vector<SyntheticSequence> sequences = plan_traffic(options);
  const Router router(model, category_mix(options), options.seed, options.threads);
  TokenBlocks blocks(router, sequences, options);
  NpzWriter writer(path);
  add_labels(writer, model, options, sequences);
  writer.add("ids", id_dtype(model), {options.tokens, model.rounds(), model.top_k}, [&](std::span<std::byte> out) {
    blocks.read(out);
    progress(blocks.progress());
  });
  EVENKEEL_TRY_STATUS(writer.finish());
  return SynthSummary{options.tokens, sequences.size(), model.rounds()};
}

}  // namespace evenkeel
