#include "partition/model/stage_load.h"

#include <algorithm>

namespace evenkeel {

void add(StageLoad& sum, const StageLoad& more) {
  sum.tokens += more.tokens;
  add(sum.load_tokens, more.load_tokens);
}

StageLoad& of_stage(std::vector<StageLoad>& loads, Stage stage, std::size_t layers, std::size_t experts) {
  const auto found = std::ranges::lower_bound(loads, stage, StageByName(), &StageLoad::stage);
  if (found != loads.end() && found->stage == stage) return *found;
  return *loads.insert(found, {stage, 0, Grid<std::uint64_t>(layers, experts)});
}

void add_by_stage(std::vector<StageLoad>& sums, std::span<const StageLoad> more) {
  for (const StageLoad& load : more)
    add(of_stage(sums, load.stage, load.load_tokens.rows(), load.load_tokens.cols()), load);
}

std::uint64_t tokens_of(std::span<const StageLoad> loads) {
  std::uint64_t sum = 0;
  for (const StageLoad& load : loads) sum += load.tokens;
  return sum;
}

}  // namespace evenkeel
