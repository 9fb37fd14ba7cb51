#pragma once

#include <span>
#include <vector>

#include "partition/foundation/random.h"
#include "partition/model/model_spec.h"
#include "pipeline/synth/router.h"

namespace evenkeel {

/// The share of tokens that are to choose each expert, by rank, most loaded first [experts + null_experts]: rank^-s, no
/// share above 0.98, top_k in total. Null experts come last, with the mean. Pure.
[[nodiscard]] std::vector<double> target_shares(const ModelSpec& model, double zipf_exponent);

/// Sets a round's bias so that tokens of the given categories choose experts by target_shares(), ranks drawn at random:
/// a fixed-point iteration over one sample of tokens. Leaves deviations of a few percent.
void calibrate_bias(const ModelSpec& model, const RouterParameters& parameters, std::span<const double> category_mix,
                    Random& random, RouterRound& round);

}  // namespace evenkeel
