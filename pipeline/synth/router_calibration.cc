#include "pipeline/synth/router_calibration.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "pipeline/synth/expert_choice.h"
#include "pipeline/synth/random_fields.h"

namespace evenkeel {
namespace {

constexpr std::size_t kSampleTokens = 4096;
constexpr std::size_t kIterations = 8;
/// Of the step that would be right for one expert alone: experts also push each other out, and small steps at the end
/// settle what swings.
constexpr double kFirstStep = 0.8;
constexpr double kNextStep = 0.8;
/// An expert that all but every token chooses no longer answers to its bias.
constexpr double kShareMax = 0.98;

/// A token of the sample for each step of `category_mix`, so that the sample has the mix exactly.
std::vector<std::uint32_t> sample_categories(std::span<const double> category_mix) {
  std::vector<std::uint32_t> categories(kSampleTokens);
  double end = category_mix[0];
  std::uint32_t category = 0;
  for (std::size_t token = 0; token < kSampleTokens; ++token) {
    const double at = (static_cast<double>(token) + 0.5) / kSampleTokens;
    while (at > end && category + 1 < category_mix.size()) end += category_mix[++category];
    categories[token] = category;
  }
  return categories;
}

std::vector<std::size_t> choices(const Eigen::MatrixXf& scores, const Eigen::VectorXf& bias, ExpertChoice& choice,
                                 std::size_t top_k) {
  std::vector<std::size_t> count(static_cast<std::size_t>(scores.rows()));
  std::vector<ExpertIndex> chosen(top_k);
  Eigen::VectorXf biased(scores.rows());
  for (Eigen::Index token = 0; token < scores.cols(); ++token) {
    biased = scores.col(token) + bias;
    choice.choose({biased.data(), count.size()}, chosen);
    for (const ExpertIndex expert : chosen) ++count[expert];
  }
  return count;
}

/// The bias, but for a constant, at which the score of an expert, normal with the given deviation, is above a threshold
/// for a share of the tokens; the normal quantile as logit / 1.7.
double bias_for(double share, double spread) {
  const double bounded = std::clamp(share, 1e-6, 1 - 1e-6);
  return spread * std::log(bounded / (1 - bounded)) / 1.7;
}

}  // namespace

std::vector<double> target_shares(const ModelSpec& model, double zipf_exponent) {
  const auto experts = static_cast<double>(model.experts);
  const double mean = static_cast<double>(model.top_k) / (experts + static_cast<double>(model.null_experts));
  std::vector<double> shares(model.experts + model.null_experts, mean);
  if (mean >= kShareMax) return shares;
  const double total = mean * experts;
  const auto share_of = [&](std::size_t rank, double scale) {
    return std::min(kShareMax, scale * std::pow(static_cast<double>(rank + 1), -zipf_exponent));
  };
  double low = 0;
  double high = std::pow(experts, zipf_exponent);
  for (int halving = 0; halving < 60; ++halving) {
    const double scale = (low + high) / 2;
    double sum = 0;
    for (std::size_t rank = 0; rank < model.experts; ++rank) sum += share_of(rank, scale);
    (sum < total ? low : high) = scale;
  }
  for (std::size_t rank = 0; rank < model.experts; ++rank) shares[rank] = share_of(rank, high);
  return shares;
}

void calibrate_bias(const ModelSpec& model, const RouterParameters& parameters, std::span<const double> category_mix,
                    Random& random, RouterRound& round) {
  std::vector<double> targets = target_shares(model, parameters.zipf_exponent);
  random.shuffle(std::span<double>(targets).first(model.experts));
  round.bias = Eigen::VectorXf::Zero(round.directions.rows());
  Eigen::MatrixXf latent(static_cast<Eigen::Index>(parameters.latent_size), static_cast<Eigen::Index>(kSampleTokens));
  fill_normal(random, latent);
  Eigen::MatrixXf scores;
  score_tokens(round, latent, sample_categories(category_mix), random, scores);
  ExpertChoice choice(model);
  const double spread = std::hypot(parameters.sharpness, std::numbers::pi / std::sqrt(6.0));
  for (std::size_t expert = 0; expert < targets.size(); ++expert) {
    round.bias[static_cast<Eigen::Index>(expert)] = static_cast<float>(bias_for(targets[expert], spread));
  }
  double step = kFirstStep;
  for (std::size_t iteration = 0; iteration < kIterations; ++iteration, step *= kNextStep) {
    const auto count = choices(scores, round.bias, choice, model.top_k);
    for (std::size_t expert = 0; expert < count.size(); ++expert) {
      const double share = (static_cast<double>(count[expert]) + 0.5) / (kSampleTokens + 1.0);
      round.bias[static_cast<Eigen::Index>(expert)] +=
          static_cast<float>(step * (bias_for(targets[expert], spread) - bias_for(share, spread)));
    }
  }
}

}  // namespace evenkeel
