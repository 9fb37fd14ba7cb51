#pragma once

#include "pipeline/report/html_report.h"

namespace evenkeel {

/// Modelled step times that differ by less than this share are said to be equal.
inline constexpr double kStepTimeEqualRatio = 0.005;

/// The best placement against the one before, in one sentence; or its figures where there is none before.
[[nodiscard]] ReportVerdict verdict_of(const HtmlReport& report);

}  // namespace evenkeel
