#pragma once

#include <string>

#include "pipeline/inspect/inspection.h"
#include "pipeline/report/plot.h"

namespace evenkeel {

/// The inspection for people: a section a question, tables and pictures, at most style.width columns but for tables
/// that need more.
[[nodiscard]] std::string inspection_text(const Inspection& inspection, const PlotStyle& style);

}  // namespace evenkeel
