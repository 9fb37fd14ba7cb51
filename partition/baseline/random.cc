#include "partition/baseline/random.h"

#include "partition/foundation/random.h"

namespace evenkeel {

Result<Placement> random_placement(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant,
                                   std::uint64_t seed) {
  EVENKEEL_TRY(contiguous, contiguous_placement(profile.shape.layer_ids, profile.shape.experts, redundant, cluster.gpus,
                                                cluster.nodes));
  Placement::Fields fields = contiguous.fields();
  for (std::size_t layer = 0; layer < fields.expert_of_slot.rows(); ++layer) {
    Random random(seed, layer);
    random.shuffle(fields.expert_of_slot[layer]);
  }
  return Placement::create(std::move(fields));
}

}  // namespace evenkeel
