#include "pipeline/synth/router.h"

#include <algorithm>
#include <cmath>

#include "partition/foundation/parallel.h"
#include "pipeline/synth/random_fields.h"
#include "pipeline/synth/router_calibration.h"
#include "pipeline/synth/traffic.h"

namespace evenkeel {
namespace {

/// Of the variance of z. Prefill and decode differ less than kinds of text do.
constexpr double kDomainVariance = 0.25;
constexpr double kStageVariance = 0.05;

struct Anchor {
  double log_experts;
  RouterParameters parameters;
};

/// Interpolated parameters, latent size not yet rounded.
double between(double at, const Anchor& low, const Anchor& high, double low_value, double high_value) {
  const double share = (at - low.log_experts) / (high.log_experts - low.log_experts);
  return low_value + std::clamp(share, 0.0, 1.0) * (high_value - low_value);
}

/// Centres of all categories: parts of the domain and of the stage.
Eigen::MatrixXf category_centres(const Eigen::MatrixXf& domains, const Eigen::MatrixXf& stages) {
  Eigen::MatrixXf centres(domains.rows(), static_cast<Eigen::Index>(kCategories));
  for (Eigen::Index category = 0; category < centres.cols(); ++category) {
    const auto stage_count = static_cast<Eigen::Index>(kStages);
    centres.col(category) = std::sqrt(static_cast<float>(kDomainVariance)) * domains.col(category / stage_count) +
                            std::sqrt(static_cast<float>(kStageVariance)) * stages.col(category % stage_count);
  }
  return centres;
}

}  // namespace

RouterParameters router_parameters(std::size_t experts) {
  static const Anchor anchors[] = {{std::log(8.0), {6, 6.0, 0.30, 0.97}},
                                   {std::log(64.0), {12, 5.0, 0.40, 0.98}},
                                   {std::log(256.0), {24, 5.0, 0.45, 0.98}}};
  const double at = std::log(static_cast<double>(experts));
  const Anchor& low = at < anchors[1].log_experts ? anchors[0] : anchors[1];
  const Anchor& high = at < anchors[1].log_experts ? anchors[1] : anchors[2];
  const RouterParameters& a = low.parameters;
  const RouterParameters& b = high.parameters;
  const double size = between(at, low, high, static_cast<double>(a.latent_size), static_cast<double>(b.latent_size));
  return {static_cast<std::size_t>(std::lround(size)), between(at, low, high, a.sharpness, b.sharpness),
          between(at, low, high, a.zipf_exponent, b.zipf_exponent),
          between(at, low, high, a.persistence, b.persistence)};
}

Router::Router(const ModelSpec& model, std::span<const double> category_mix, std::uint64_t seed, std::size_t threads)
    : model_(model), parameters_(router_parameters(model.experts)), rounds_(model.rounds()) {
  const auto size = static_cast<Eigen::Index>(parameters_.latent_size);
  Random random = synth_random(seed, SynthStream::kRouter, 0);
  Eigen::MatrixXf domains(size, static_cast<Eigen::Index>(kDomains));
  Eigen::MatrixXf stages(size, static_cast<Eigen::Index>(kStages));
  fill_normal(random, domains);
  fill_normal(random, stages);
  for (RouterRound& round : rounds_) {
    round.centres = category_centres(domains, stages);
    walk(parameters_.persistence, random, domains);
    walk(parameters_.persistence, random, stages);
  }
  for_each_item(rounds_.size(), threads, [&](std::size_t i) {
    Random own = synth_random(seed, SynthStream::kRouter, i + 1);
    RouterRound& round = rounds_[i];
    round.directions.resize(static_cast<Eigen::Index>(model.experts + model.null_experts), size);
    fill_normal(own, round.directions);
    round.directions.rowwise().normalize();
    round.directions *= static_cast<float>(parameters_.sharpness);
    Random sample = synth_random(seed, SynthStream::kCalibration, i);
    calibrate_bias(model, parameters_, category_mix, sample, round);
  });
}

void walk(double persistence, Random& random, Eigen::MatrixXf& latent) {
  Eigen::MatrixXf noise(latent.rows(), latent.cols());
  fill_normal(random, noise);
  latent =
      static_cast<float>(persistence) * latent + static_cast<float>(std::sqrt(1.0 - persistence * persistence)) * noise;
}

void score_tokens(const RouterRound& round, const Eigen::MatrixXf& latent, std::span<const std::uint32_t> categories,
                  Random& random, Eigen::MatrixXf& scores) {
  const auto own = static_cast<float>(std::sqrt(1.0 - kDomainVariance - kStageVariance));
  Eigen::MatrixXf whole = own * latent;
  for (Eigen::Index token = 0; token < whole.cols(); ++token) {
    whole.col(token) += round.centres.col(categories[static_cast<std::size_t>(token)]);
  }
  scores.resize(round.directions.rows(), whole.cols());
  fill_gumbel(random, scores);
  scores.noalias() += round.directions * whole;
  scores.colwise() += round.bias;
}

}  // namespace evenkeel
