#pragma once

#include <string_view>

namespace evenkeel {

/// The report's page before and after its data: markup, styles and script, built from pipeline/report/html.
[[nodiscard]] std::string_view html_page_head();
[[nodiscard]] std::string_view html_page_tail();

}  // namespace evenkeel
