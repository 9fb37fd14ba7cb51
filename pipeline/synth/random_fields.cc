#include "pipeline/synth/random_fields.h"

#include <numbers>

namespace evenkeel {
namespace {

using Numbers = Eigen::Map<Eigen::ArrayXf>;

/// Uniform in (0, 1): 23 bits and a half, which a float holds exactly, so that neither end comes up.
float unit_float(std::uint64_t bits) {
  return (static_cast<float>(static_cast<std::uint32_t>(bits) >> 9) + 0.5F) * 0x1p-23F;
}

void fill_uniform(Random& random, Numbers out) {
  const Eigen::Index paired = out.size() - out.size() % 2;
  for (Eigen::Index i = 0; i < paired; i += 2) {
    const std::uint64_t bits = random.next();
    out[i] = unit_float(bits);
    out[i + 1] = unit_float(bits >> 32);
  }
  if (paired != out.size()) out[paired] = unit_float(random.next());
}

/// The numbers of a matrix that has no gaps between its columns.
Numbers numbers_of(Eigen::Ref<Eigen::MatrixXf>& matrix) { return {matrix.data(), matrix.size()}; }

}  // namespace

void fill_normal(Random& random, Eigen::Ref<Eigen::MatrixXf> out) {
  Numbers numbers = numbers_of(out);
  const Eigen::Index half = (numbers.size() + 1) / 2;
  Eigen::ArrayXf uniform(2 * half);
  fill_uniform(random, Numbers(uniform.data(), uniform.size()));
  const Eigen::ArrayXf radius = (-2.0F * uniform.head(half).log()).sqrt();
  const Eigen::ArrayXf angle = 2.0F * std::numbers::pi_v<float> * uniform.tail(half);
  numbers.head(half) = radius * angle.cos();
  numbers.tail(numbers.size() - half) = (radius * angle.sin()).head(numbers.size() - half);
}

void fill_gumbel(Random& random, Eigen::Ref<Eigen::MatrixXf> out) {
  Numbers numbers = numbers_of(out);
  fill_uniform(random, Numbers(numbers.data(), numbers.size()));
  numbers = -(-numbers.log()).log();
}

}  // namespace evenkeel
