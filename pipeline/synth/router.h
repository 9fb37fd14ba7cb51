#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/random.h"
#include "partition/model/model_spec.h"

namespace evenkeel {

/// What makes routing look like that of a model with so many experts.
struct RouterParameters {
  /// Numbers in a token's latent vector.
  std::size_t latent_size;
  /// beta: how much the latent vector decides, beside the noise.
  double sharpness;
  /// s: loads follow rank^-s.
  double zipf_exponent;
  /// rho: correlation of the latent vector from one round to the next.
  double persistence;
};

/// Fitted to recorded traces at 8, 64 and 256 experts, between them linear in the logarithm of `experts`, beyond them
/// as at the end. Pure.
[[nodiscard]] RouterParameters router_parameters(std::size_t experts);

/// One routing decision of every token: scores = directions z + bias + Gumbel noise, the best are chosen.
struct RouterRound {
  /// beta times a unit vector an expert [experts + null experts, latent size].
  Eigen::MatrixXf directions;
  /// [experts + null experts]
  Eigen::VectorXf bias;
  /// What the tokens of a category have in common [latent size, categories].
  Eigen::MatrixXf centres;
};

/// A synthetic router: z is a token's own latent vector, which walks from round to round, and its category's centre,
/// which walks too. Both are standard normal at every round, and z as a whole is z' = rho z + sqrt(1 - rho^2) noise.
class Router {
 public:
  /// Draws directions and centres and calibrates the bias, so that loads follow the Zipf law over tokens whose
  /// categories have the shares `category_mix`. Equal arguments give equal routers on any number of threads.
  /// Cost: rounds x experts x 100,000 operations.
  Router(const ModelSpec& model, std::span<const double> category_mix, std::uint64_t seed, std::size_t threads);

  [[nodiscard]] const ModelSpec& model() const { return model_; }
  [[nodiscard]] const RouterParameters& parameters() const { return parameters_; }
  [[nodiscard]] const std::vector<RouterRound>& rounds() const { return rounds_; }

 private:
  ModelSpec model_;
  RouterParameters parameters_;
  std::vector<RouterRound> rounds_;
};

/// Moves latent vectors on to the next round: rho times each and sqrt(1 - rho^2) times new noise.
void walk(double persistence, Random& random, Eigen::MatrixXf& latent);

/// Scores of tokens in a round, noise included [experts + null experts, tokens]: of the tokens' own latent vectors
/// [latent size, tokens] and their categories. `scores` is written.
void score_tokens(const RouterRound& round, const Eigen::MatrixXf& latent, std::span<const std::uint32_t> categories,
                  Random& random, Eigen::MatrixXf& scores);

}  // namespace evenkeel
