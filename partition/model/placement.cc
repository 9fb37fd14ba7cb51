#include "partition/model/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

Status validate_shape(const Placement::Fields& fields) {
  if (fields.layer_ids.empty()) return invalid_input("placement: it has no layers; give at least one");
  if (!std::is_sorted(fields.layer_ids.begin(), fields.layer_ids.end(), std::less_equal<>())) {
    return invalid_input(
        "placement: layer_ids are not in strictly ascending order; list each MoE layer once, lowest first");
  }
  if (fields.layer_ids.front() < 0) {
    return invalid_input(
        fmt::format("placement: layer_ids holds {}; layer numbers start at 0", fields.layer_ids.front()));
  }
  if (fields.experts == 0 || fields.experts > kExpertsMax) {
    return invalid_input(fmt::format("placement: experts is {}; give 1 to {}", fields.experts, kExpertsMax));
  }
  const std::size_t gpus = fields.slots_of_gpu.size();
  if (gpus == 0 || fields.nodes == 0 || gpus % fields.nodes != 0) {
    return invalid_input(fmt::format(
        "placement: {} GPUs on {} nodes; give at least one of each, equally many GPUs a node", gpus, fields.nodes));
  }
  const std::size_t slots = std::accumulate(fields.slots_of_gpu.begin(), fields.slots_of_gpu.end(), std::size_t{0});
  if (slots != fields.expert_of_slot.cols() || fields.expert_of_slot.rows() != fields.layer_ids.size()) {
    return invalid_input(
        fmt::format("placement: the map is {} x {} but {} layers of {} slots are declared; make them agree",
                    fields.expert_of_slot.rows(), fields.expert_of_slot.cols(), fields.layer_ids.size(), slots));
  }
  if (slots < fields.experts) {
    return invalid_input(fmt::format("placement: {} slots a layer for {} experts; every expert needs at least one",
                                     slots, fields.experts));
  }
  return {};
}

Status validate_experts(const Placement::Fields& fields, const Grid<std::uint32_t>& copies) {
  for (std::size_t layer = 0; layer < copies.rows(); ++layer) {
    for (std::size_t expert = 0; expert < copies.cols(); ++expert) {
      if (copies(layer, expert) == 0) {
        return invalid_input(
            fmt::format("placement: layer {} has no slot for expert {}; every expert needs at least one",
                        fields.layer_ids[layer], expert));
      }
    }
  }
  return {};
}

Status validate_shares(const Placement::Fields& fields) {
  constexpr double kTolerance = 1e-6;
  const Grid<double>& shares = *fields.shares;
  if (shares.rows() != fields.expert_of_slot.rows() || shares.cols() != fields.expert_of_slot.cols()) {
    return invalid_input(fmt::format("placement: shares is {} x {} but the map is {} x {}; give one share a slot",
                                     shares.rows(), shares.cols(), fields.expert_of_slot.rows(),
                                     fields.expert_of_slot.cols()));
  }
  for (std::size_t layer = 0; layer < shares.rows(); ++layer) {
    std::vector<double> sum(fields.experts, 0.0);
    for (std::size_t slot = 0; slot < shares.cols(); ++slot) {
      const double share = shares(layer, slot);
      if (!(share >= 0.0 && share <= 1.0 + kTolerance)) {
        return invalid_input(
            fmt::format("placement: layer {} slot {} has share {}; give 0 to 1", fields.layer_ids[layer], slot, share));
      }
      sum[fields.expert_of_slot(layer, slot)] += share;
    }
    for (std::size_t expert = 0; expert < sum.size(); ++expert) {
      if (std::abs(sum[expert] - 1.0) > kTolerance) {
        return invalid_input(fmt::format("placement: shares of layer {} expert {} add up to {}; they must add up to 1",
                                         fields.layer_ids[layer], expert, sum[expert]));
      }
    }
  }
  return {};
}

}  // namespace

Result<Placement> Placement::create(Fields fields) {
  EVENKEEL_TRY_STATUS(validate_shape(fields));
  for (std::size_t layer = 0; layer < fields.expert_of_slot.rows(); ++layer) {
    for (std::size_t slot = 0; slot < fields.expert_of_slot.cols(); ++slot) {
      if (const auto expert = fields.expert_of_slot(layer, slot); expert >= fields.experts) {
        return invalid_input(fmt::format("placement: layer {} slot {} holds expert {}; the model has experts 0 to {}",
                                         fields.layer_ids[layer], slot, expert, fields.experts - 1));
      }
    }
  }
  Placement placement(std::move(fields));
  EVENKEEL_TRY_STATUS(validate_experts(placement.fields_, placement.copies_));
  if (placement.fields_.shares) EVENKEEL_TRY_STATUS(validate_shares(placement.fields_));
  return placement;
}

Placement::Placement(Fields fields) : fields_(std::move(fields)), copies_(fields_.layer_ids.size(), fields_.experts) {
  for (std::size_t gpu = 0; gpu < fields_.slots_of_gpu.size(); ++gpu) {
    first_slot_of_gpu_.push_back(static_cast<std::uint32_t>(gpu_of_slot_.size()));
    gpu_of_slot_.insert(gpu_of_slot_.end(), fields_.slots_of_gpu[gpu], static_cast<std::uint32_t>(gpu));
  }
  for (std::size_t layer = 0; layer < copies_.rows(); ++layer) {
    for (const ExpertIndex expert : fields_.expert_of_slot[layer]) ++copies_(layer, expert);
  }
}

bool Placement::has_equal_slots() const {
  return std::adjacent_find(fields_.slots_of_gpu.begin(), fields_.slots_of_gpu.end(), std::not_equal_to<>()) ==
         fields_.slots_of_gpu.end();
}

double Placement::share(LayerId layer, SlotId slot) const {
  if (fields_.shares) return (*fields_.shares)(layer.index(), slot.index());
  return 1.0 / copies_(layer.index(), row(layer)[slot.index()]);
}

Result<std::uint32_t> equal_slots_per_gpu(std::size_t experts, std::size_t redundant, std::size_t gpus) {
  const std::size_t slots = experts + redundant;
  if (slots % gpus != 0) {
    const std::size_t needed = (slots + gpus - 1) / gpus * gpus - experts;
    return infeasible(
        fmt::format("{} experts and {} redundant slots do not divide over {} GPUs; {} redundant slots would", experts,
                    redundant, gpus, needed));
  }
  return static_cast<std::uint32_t>(slots / gpus);
}

Result<Placement> contiguous_placement(std::vector<int> layer_ids, std::size_t experts, std::size_t redundant,
                                       std::size_t gpus, std::size_t nodes) {
  EVENKEEL_TRY(slots_per_gpu, equal_slots_per_gpu(experts, redundant, gpus));
  Grid<ExpertIndex> map(layer_ids.size(), experts + redundant);
  for (std::size_t layer = 0; layer < map.rows(); ++layer) {
    for (std::size_t slot = 0; slot < map.cols(); ++slot) {
      map(layer, slot) = static_cast<ExpertIndex>(slot % experts);
    }
  }
  return Placement::create({.layer_ids = std::move(layer_ids),
                            .experts = experts,
                            .nodes = nodes,
                            .slots_of_gpu = std::vector<std::uint32_t>(gpus, slots_per_gpu),
                            .expert_of_slot = std::move(map),
                            .shares = std::nullopt});
}

}  // namespace evenkeel
