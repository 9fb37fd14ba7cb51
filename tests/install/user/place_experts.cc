// A program outside evenkeel that plans with its library: places a small profile, by the strategy that is named.
#include <iostream>
#include <string>

#include "partition/place.h"

int main(int argc, char** argv) {
  using namespace evenkeel;
  RoutingProfile profile;
  profile.shape.layer_ids = {0, 1};
  profile.shape.experts = 8;
  profile.windows.resize(1);
  profile.windows[0].load_tokens = Grid<std::uint64_t>(2, 8);
  for (std::size_t expert = 0; expert < 8; ++expert) {
    profile.windows[0].load_tokens(0, expert) = 10 + expert;
    profile.windows[0].load_tokens(1, expert) = 20 - expert;
  }
  PlaceOptions options;
  options.effort.work_units = 1'000'000;
  for (const Strategy strategy : all_strategies()) {
    if (argc > 1 && strategy_name(strategy) == argv[1]) options.strategy = strategy;
  }
  const Cluster cluster{.gpus = 2, .nodes = 1};
  const auto solution = place(profile, cluster, options);
  if (!solution) {
    std::cerr << solution.error().message << '\n';
    return exit_code(solution.error().code);
  }
  std::cout << solution->placement.layers() << " layers of " << solution->placement.slots() << " slots\n";
  return 0;
}
