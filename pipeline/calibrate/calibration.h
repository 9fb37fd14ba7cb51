#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/calibrate/measurements.h"

namespace evenkeel {

/// Least squares of seconds = first x one column + second x the other, neither factor below 0.
struct Fit {
  std::array<double, 2> factors;
  std::size_t rows;
  /// Share of the variance of the seconds that the fit explains; at most 1.
  double r2;
  /// Largest difference between fitted and measured seconds, over the measured ones.
  double largest_error_ratio;
};

/// What measurements say of the step-time model; absent where nothing of the kind was measured.
struct Calibration {
  /// c and a, in seconds.
  std::optional<Fit> compute;
  /// Seconds a byte, and latency.
  std::optional<Fit> intra_node;
  std::optional<Fit> inter_node;
  /// Mean of what was measured.
  std::optional<double> other_seconds;
  std::size_t other_rows = 0;
};

/// Fits the constants, each measurement weighing by its relative error, so that short ones tell the latency as long
/// ones tell the bandwidth. Pure. Fails with kInvalidInput where there is nothing, or where measurements leave a
/// constant open; `name` is what messages call them.
[[nodiscard]] Result<Calibration> calibrate(const Measurements& measurements, const std::string& name);

/// A constant as a cluster file takes it.
struct CalibratedConstant {
  std::string section;
  std::string key;
  double value;
  std::size_t rows;
  /// Of the fit that it is from; absent for a mean.
  std::optional<Fit> fit;
};

/// The constants, those of a section one after the other.
[[nodiscard]] std::vector<CalibratedConstant> constants_of(const Calibration& calibration);

/// The sections of a cluster file.
[[nodiscard]] std::string calibration_yaml(const std::vector<CalibratedConstant>& constants);

}  // namespace evenkeel
