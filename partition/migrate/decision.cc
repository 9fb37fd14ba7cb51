#include "partition/migrate/decision.h"

#include <fmt/format.h>

namespace evenkeel {

Decision decide(const MigrationStakes& stakes) {
  if (stakes.moves == 0) return {false, "every GPU holds its experts already, so nothing moves"};
  const double before_ms = stakes.step_before.count() * 1e3;
  const double after_ms = stakes.step_after.count() * 1e3;
  if (after_ms >= before_ms) {
    return {false,
            fmt::format("a step takes {:.4g} ms before and {:.4g} ms after, so nothing is saved", before_ms, after_ms)};
  }
  const double gain = stakes.steps * (stakes.step_before - stakes.step_after).count();
  const double guard = stakes.guard_ratio * gain;
  const double lost = stakes.lost.count();
  const bool is_adopt = gain > lost + guard;
  return {is_adopt,
          fmt::format("{:.15g} steps of {:.4g} instead of {:.4g} ms save {:.4g} s, {} the {:.4g} s lost to the "
                      "migration and the guard of {:.4g} s",
                      stakes.steps, after_ms, before_ms, gain, is_adopt ? "more than" : "not more than", lost, guard)};
}

}  // namespace evenkeel
