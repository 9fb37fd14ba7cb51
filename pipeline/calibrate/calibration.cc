#include "pipeline/calibrate/calibration.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace evenkeel {
namespace {

/// Two quantities and the seconds that they took.
struct Observation {
  double first;
  double second;
  double seconds;
};

/// Least squares over the columns that are `used`; the other factor is 0.
std::array<double, 2> factors_of(const Eigen::MatrixX2d& columns, std::array<bool, 2> used) {
  std::array<double, 2> factors{0, 0};
  const Eigen::VectorXd ones = Eigen::VectorXd::Ones(columns.rows());
  if (used[0] && used[1]) {
    const Eigen::Vector2d both = columns.colPivHouseholderQr().solve(ones);
    return {both[0], both[1]};
  }
  const Eigen::Index only = used[0] ? 0 : 1;
  factors[static_cast<std::size_t>(only)] = columns.col(only).sum() / columns.col(only).squaredNorm();
  return factors;
}

/// The best factors that are not below 0: with two, those of both columns where they are, else the better of one alone.
std::array<double, 2> non_negative_factors(const Eigen::MatrixX2d& columns) {
  const auto both = factors_of(columns, {true, true});
  if (both[0] >= 0 && both[1] >= 0) return both;
  const auto residual = [&](const std::array<double, 2>& factors) {
    return (columns * Eigen::Vector2d(factors[0], factors[1]) - Eigen::VectorXd::Ones(columns.rows())).squaredNorm();
  };
  const auto first = factors_of(columns, {true, false});
  const auto second = factors_of(columns, {false, true});
  return residual(first) <= residual(second) ? first : second;
}

Fit fit_of(const std::vector<Observation>& rows, const std::array<double, 2>& factors) {
  Fit fit{factors, rows.size(), 1, 0};
  const double mean = std::accumulate(rows.begin(), rows.end(), 0.0,
                                      [](double sum, const Observation& row) { return sum + row.seconds; }) /
                      static_cast<double>(rows.size());
  double unexplained = 0;
  double variance = 0;
  for (const Observation& row : rows) {
    const double error = factors[0] * row.first + factors[1] * row.second - row.seconds;
    unexplained += error * error;
    variance += (row.seconds - mean) * (row.seconds - mean);
    fit.largest_error_ratio = std::max(fit.largest_error_ratio, std::abs(error) / row.seconds);
  }
  if (unexplained > 0) fit.r2 = variance > 0 ? 1 - unexplained / variance : 0;
  return fit;
}

/// Nothing where nothing was measured. `remedy` is what tells the two factors apart.
Result<std::optional<Fit>> fit(const std::vector<Observation>& rows, const std::string& name, const char* what,
                               const char* remedy) {
  if (rows.empty()) return std::optional<Fit>();
  Eigen::MatrixX2d columns(static_cast<Eigen::Index>(rows.size()), 2);
  for (std::size_t i = 0; i < rows.size(); ++i)
    columns.row(static_cast<Eigen::Index>(i)) << rows[i].first / rows[i].seconds, rows[i].second / rows[i].seconds;
  const Eigen::Vector2d norms = columns.colwise().norm();
  // Columns closer than this are told apart by rounding alone.
  constexpr double kSameColumn = 1e-9;
  const bool is_open = rows.size() < 2 || norms.minCoeff() == 0 ||
                       (columns * norms.cwiseInverse().asDiagonal()).jacobiSvd().singularValues()[1] < kSameColumn;
  if (is_open) {
    return invalid_input(fmt::format("{}: {} {} rows leave their two constants open; give at least two, {}", name,
                                     rows.size(), what, remedy));
  }
  return std::optional(fit_of(rows, non_negative_factors(columns)));
}

Result<std::optional<Fit>> fit_transfers(const std::vector<TransferMeasurement>& transfers, const std::string& name,
                                         const char* what) {
  std::vector<Observation> rows;
  for (const TransferMeasurement& transfer : transfers) rows.push_back({transfer.bytes, 1, transfer.seconds});
  EVENKEEL_TRY(fitted, fit(rows, name, what, "of different bytes"));
  // What a cluster may have at most; a line that falls has no bandwidth at all.
  constexpr double kBytesPerSecondMax = 1e15;
  if (fitted && fitted->factors[0] * kBytesPerSecondMax < 1) {
    return invalid_input(fmt::format(
        "{}: seconds of {} rows do not grow with bytes, so they have no bandwidth; give larger transfers", name, what));
  }
  return fitted;
}

}  // namespace

Result<Calibration> calibrate(const Measurements& measurements, const std::string& name) {
  Calibration calibration;
  std::vector<Observation> compute;
  for (const ComputeMeasurement& row : measurements.compute) compute.push_back({row.tokens, row.experts, row.seconds});
  EVENKEEL_TRY(of_compute, fit(compute, name, "compute", "with more and with fewer tokens an expert"));
  EVENKEEL_TRY(of_intra, fit_transfers(measurements.intra_node, name, "intra_node"));
  EVENKEEL_TRY(of_inter, fit_transfers(measurements.inter_node, name, "inter_node"));
  calibration.compute = of_compute;
  calibration.intra_node = of_intra;
  calibration.inter_node = of_inter;
  const auto& other = measurements.other_seconds;
  calibration.other_rows = other.size();
  if (!other.empty())
    calibration.other_seconds = std::accumulate(other.begin(), other.end(), 0.0) / static_cast<double>(other.size());
  if (of_compute || of_intra || of_inter || calibration.other_seconds) return calibration;
  return invalid_input(
      fmt::format("{}: it has no measurements; give rows of compute, intra_node, inter_node or other", name));
}

std::vector<CalibratedConstant> constants_of(const Calibration& calibration) {
  std::vector<CalibratedConstant> constants;
  const auto add_link = [&](const char* tier, const std::optional<Fit>& fit) {
    if (!fit) return;
    constants.push_back({tier, "bandwidth_gb_per_s", 1e-9 / fit->factors[0], fit->rows, fit});
    constants.push_back({tier, "latency_us", 1e6 * fit->factors[1], fit->rows, fit});
  };
  add_link("intra_node", calibration.intra_node);
  add_link("inter_node", calibration.inter_node);
  if (const auto& fit = calibration.compute) {
    constants.push_back({"step_time", "compute_per_token_us", 1e6 * fit->factors[0], fit->rows, fit});
    constants.push_back({"step_time", "compute_per_expert_us", 1e6 * fit->factors[1], fit->rows, fit});
  }
  if (calibration.other_seconds) {
    constants.push_back(
        {"step_time", "other_per_layer_us", 1e6 * *calibration.other_seconds, calibration.other_rows, std::nullopt});
  }
  return constants;
}

std::string calibration_yaml(const std::vector<CalibratedConstant>& constants) {
  std::string yaml;
  std::string section;
  for (const CalibratedConstant& constant : constants) {
    if (constant.section != section) yaml += constant.section + ":\n";
    section = constant.section;
    yaml += fmt::format("  {}: {:.6g}\n", constant.key, constant.value);
  }
  return yaml;
}

}  // namespace evenkeel
