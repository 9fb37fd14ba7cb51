#pragma once

#include <chrono>

#include "partition/model/instance.h"

namespace evenkeel {

/// Forward transportation: the first layer as given, then layer after layer the placement that keeps most traffic with
/// the one before, solved exactly. 2 ms at 26 x 64, 0.1 to 0.3 s at 58 x 256. Loads are not looked at; a GPU that got
/// two copies of an expert is repaired. Needs traffic. Deterministic.
[[nodiscard]] Assignment transport_assignment(const Instance& instance, const Assignment& start);

/// What a call takes on a machine of 2024.
[[nodiscard]] std::chrono::duration<double> transport_estimate(const Instance& instance);

}  // namespace evenkeel
