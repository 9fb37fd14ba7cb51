#include "pipeline/inspect/trace_shape.h"

#include <algorithm>
#include <set>

namespace evenkeel {

TraceShape shape_of(const Trace& trace) {
  TraceShape shape;
  shape.model = trace.shape;
  std::set<Stage, StageByName> stages(trace.stage_of_sequence.begin(), trace.stage_of_sequence.end());
  for (const StageLoad& window : trace.load_windows) stages.insert(window.stage);
  shape.windows = trace.load_windows.empty()
                      ? std::set(trace.window_of_sequence.begin(), trace.window_of_sequence.end()).size()
                      : trace.load_windows.size();
  if (!trace.paths.empty()) {
    shape.layer_of_round = trace.paths.layer_of_round;
    shape.top_k = trace.paths.top_k;
    shape.tokens = trace.paths.tokens();
    shape.sequences = trace.paths.sequences();
    shape.null_share = static_cast<double>(std::ranges::count(trace.paths.experts, kNoExpert)) /
                       static_cast<double>(trace.paths.experts.size());
  }
  shape.stages.assign(stages.begin(), stages.end());
  return shape;
}

}  // namespace evenkeel
