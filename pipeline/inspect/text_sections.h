#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/inspect/inspection.h"
#include "pipeline/report/plot.h"

namespace evenkeel {

/// Sections of inspection_text(); each ends with a newline.
[[nodiscard]] std::string shape_section(const Inspection& inspection, const PlotStyle& style);
[[nodiscard]] std::string skew_section(const Inspection& inspection, const PlotStyle& style);
[[nodiscard]] std::string drift_section(const Inspection& inspection, const PlotStyle& style);
[[nodiscard]] std::string path_sections(const Inspection& inspection, const PlotStyle& style);

/// A section's title, and what it is about.
[[nodiscard]] std::string section_title(const std::string& title, const std::string& about, const PlotStyle& style);

/// A whole number with a comma every three digits.
[[nodiscard]] std::string grouped(std::uint64_t number);

/// A figure with `digits` decimals, or - where there is none.
[[nodiscard]] std::string figure(const std::optional<double>& value, int digits);

/// Number in the model of a row of the tables.
[[nodiscard]] int layer_number(const Inspection& inspection, std::size_t row);

}  // namespace evenkeel
