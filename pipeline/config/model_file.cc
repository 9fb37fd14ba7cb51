#include "pipeline/config/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "partition/foundation/id.h"
#include "pipeline/config/bundled_files.h"
#include "pipeline/config/strict_yaml.h"

namespace evenkeel {
namespace {

/// As the readers of traces accept.
constexpr std::size_t kHiddenLayersMax = 10000;
constexpr std::size_t kTopKMax = 256;
constexpr std::size_t kRoundsPerLayerMax = 64;
constexpr std::size_t kWidthMax = 1 << 20;

struct NamedPrecision {
  const char* name;
  WeightPrecision precision;
  double weight_bytes;
};
constexpr NamedPrecision kPrecisions[] = {{"bf16", WeightPrecision::kBf16, 2.0},
                                          {"fp8", WeightPrecision::kFp8, 1.0},
                                          {"mxfp4", WeightPrecision::kMxfp4, 4.25 / 8}};

struct CountLimits {
  std::size_t least;
  std::size_t most;
  /// Absent: the key must be set.
  std::optional<std::size_t> otherwise;
};

/// A model file while it is read, with the name that messages call it.
class ModelReader {
 public:
  ModelReader(std::string where, StrictYaml yaml) : where_(std::move(where)), yaml_(std::move(yaml)) {}

  Result<ModelSpec> read() {
    const auto name = yaml_.text("name");
    if (!name || name->empty()) return missing("name", "the model's name");
    model_.name = *name;
    EVENKEEL_TRY_STATUS(read_experts());
    EVENKEEL_TRY_STATUS(read_layers());
    EVENKEEL_TRY_STATUS(read_groups());
    EVENKEEL_TRY_STATUS(read_bytes());
    return std::move(model_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> missing(const char* key, const char* what) const {
    return invalid_input(fmt::format("{}: key '{}' is missing; give {}", where_, key, what));
  }

  Status read_count(const char* key, const CountLimits& limits, std::size_t& count) const {
    EVENKEEL_TRY(number, yaml_.count(key));
    if (!number && !limits.otherwise) return missing(key, "a whole number");
    count = number ? *number : *limits.otherwise;
    if (count >= limits.least && count <= limits.most) return {};
    return invalid_input(
        fmt::format("{}: key '{}' is {}; give a number from {} to {}", where_, key, count, limits.least, limits.most));
  }

  Status read_experts() {
    EVENKEEL_TRY_STATUS(read_count("experts", {1, kExpertsMax, std::nullopt}, model_.experts));
    EVENKEEL_TRY_STATUS(read_count("null_experts", {0, kExpertsMax - model_.experts, 0}, model_.null_experts));
    EVENKEEL_TRY_STATUS(read_count("shared_experts", {0, kExpertsMax, 0}, model_.shared_experts));
    EVENKEEL_TRY_STATUS(read_count("top_k", {1, kTopKMax, std::nullopt}, model_.top_k));
    if (model_.top_k <= model_.experts) return {};
    return invalid_input(fmt::format("{}: key 'top_k' is {} but there are {} experts; give a number from 1 to {}",
                                     where_, model_.top_k, model_.experts, model_.experts));
  }

  Status read_layers() {
    EVENKEEL_TRY_STATUS(read_count("hidden_layers", {1, kHiddenLayersMax, std::nullopt}, model_.hidden_layers));
    EVENKEEL_TRY_STATUS(read_count("rounds_per_layer", {1, kRoundsPerLayerMax, 1}, model_.rounds_per_layer));
    EVENKEEL_TRY(dense, yaml_.numbers("dense_layers", model_.hidden_layers));
    for (std::size_t layer = 0; layer < model_.hidden_layers; ++layer) {
      if (!std::ranges::binary_search(dense, layer)) model_.moe_layer_ids.push_back(static_cast<int>(layer));
    }
    if (!model_.moe_layer_ids.empty()) return {};
    return invalid_input(fmt::format("{}: key 'dense_layers' is '{}', all {} layers; leave out those with experts",
                                     where_, *yaml_.text("dense_layers"), model_.hidden_layers));
  }

  Status read_groups() {
    EVENKEEL_TRY_STATUS(read_count("routing_groups", {1, model_.experts, 1}, model_.routing_groups));
    EVENKEEL_TRY_STATUS(
        read_count("groups_chosen", {1, model_.routing_groups, model_.routing_groups}, model_.groups_chosen));
    if (model_.experts % model_.routing_groups != 0) {
      return invalid_input(
          fmt::format("{}: key 'routing_groups' is {}, which does not divide {} experts; give a divisor", where_,
                      model_.routing_groups, model_.experts));
    }
    const std::size_t eligible = model_.experts / model_.routing_groups * model_.groups_chosen;
    if (eligible >= model_.top_k) return {};
    return invalid_input(
        fmt::format("{}: key 'groups_chosen' is {}, groups of {} experts, fewer than top_k {}; give more", where_,
                    model_.groups_chosen, eligible, model_.top_k));
  }

  Status read_bytes() {
    EVENKEEL_TRY_STATUS(read_count("hidden_size", {1, kWidthMax, std::nullopt}, model_.hidden_size));
    EVENKEEL_TRY_STATUS(
        read_count("moe_intermediate_size", {1, kWidthMax, std::nullopt}, model_.moe_intermediate_size));
    const auto name = yaml_.text("weight_precision");
    if (!name) return missing("weight_precision", "bf16, fp8 or mxfp4");
    const auto precision =
        std::ranges::find_if(kPrecisions, [&](const NamedPrecision& known) { return *name == known.name; });
    if (precision == std::ranges::end(kPrecisions)) {
      return invalid_input(fmt::format("{}: key 'weight_precision' is '{}'; give bf16, fp8 or mxfp4", where_, *name));
    }
    model_.weight_precision = precision->precision;
    // A gate, an up and a down projection (SwiGLU), as all models here have.
    const double weights = 3.0 * static_cast<double>(model_.hidden_size * model_.moe_intermediate_size);
    EVENKEEL_TRY_STATUS(read_byte_count("expert_bytes", weights * precision->weight_bytes, model_.expert_bytes));
    // Activations travel in BF16 unless the file says otherwise.
    const double token_bytes = 2.0 * static_cast<double>(model_.hidden_size);
    EVENKEEL_TRY_STATUS(read_byte_count("dispatch_bytes", token_bytes, model_.dispatch_bytes));
    return read_byte_count("combine_bytes", token_bytes, model_.combine_bytes);
  }

  Status read_byte_count(const char* key, double otherwise, double& bytes) const {
    EVENKEEL_TRY(number, yaml_.number(key));
    bytes = number.value_or(otherwise);
    if (bytes > 0 && bytes <= 1e15) return {};
    return invalid_input(fmt::format("{}: key '{}' is {}; give bytes above 0, at most 1e15", where_, key, bytes));
  }

  std::string where_;
  StrictYaml yaml_;
  ModelSpec model_;
};

const std::vector<std::string>& known_keys() {
  static const std::vector<std::string> keys{
      "name",           "hidden_layers",  "dense_layers",          "experts",
      "top_k",          "null_experts",   "shared_experts",        "hidden_size",
      "routing_groups", "groups_chosen",  "expert_bytes",          "rounds_per_layer",
      "combine_bytes",  "dispatch_bytes", "moe_intermediate_size", "weight_precision"};
  return keys;
}

}  // namespace

std::vector<std::string> bundled_model_names() { return names_of(bundled_models()); }

Result<ModelSpec> read_model(const std::string& path_or_name) {
  const std::vector<std::string> lists{"dense_layers"};
  if (is_path(path_or_name)) {
    EVENKEEL_TRY(yaml, StrictYaml::read(path_or_name, known_keys(), lists));
    return ModelReader(path_or_name, std::move(yaml)).read();
  }
  EVENKEEL_TRY(model, find_bundled(bundled_models(), path_or_name, "model", "give a model file, or one of"));
  const std::string where = fmt::format("{}.yaml", model.name);
  EVENKEEL_TRY(yaml, StrictYaml::parse(where, std::string(model.content), known_keys(), lists));
  return ModelReader(where, std::move(yaml)).read();
}

}  // namespace evenkeel
