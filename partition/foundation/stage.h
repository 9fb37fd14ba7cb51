#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel {

/// What kind of serving a step, a sequence or a window of counts is of: prefill and decode load experts differently.
/// The numbers are those of the probe's interface (EK_STAGE_PREFILL, ...) and of an agent's file of counts.
enum class Stage {
  kPrefill,
  kDecode,
  kMixed,  ///< Both at once, and traffic of unknown stage.
};

/// In the order of their numbers.
inline constexpr std::array kAllStages{Stage::kPrefill, Stage::kDecode, Stage::kMixed};

/// Where a stage stands in kAllStages, and in tables with an entry a stage.
[[nodiscard]] constexpr std::size_t index_of(Stage stage) { return static_cast<std::size_t>(stage); }

/// "prefill", "decode" or "mixed": as in files, on the command line and on the wire.
[[nodiscard]] constexpr std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::kPrefill:
      return "prefill";
    case Stage::kDecode:
      return "decode";
    case Stage::kMixed:
      return "mixed";
  }
  return "mixed";
}

/// The stage of this name. Fails with kInvalidInput, saying what it is instead; the caller says of which field.
[[nodiscard]] inline Result<Stage> parse_stage(std::string_view name) {
  for (const Stage stage : kAllStages) {
    if (stage_name(stage) == name) return stage;
  }
  return invalid_input("is '" + std::string(name) + "'; give prefill, decode or mixed");
}

/// Orders stages as files and reports list them: by name.
struct StageByName {
  [[nodiscard]] constexpr bool operator()(Stage a, Stage b) const { return stage_name(a) < stage_name(b); }
};

}  // namespace evenkeel
