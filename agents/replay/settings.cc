#include "agents/replay/settings.h"

#include <fmt/format.h>

#include "agents/probe/segment.h"
#include "agents/wire/frame.h"
#include "agents/wire/limits.h"
#include "pipeline/flags/setting.h"

namespace evenkeel::replay {

void add_options(CLI::App& app, Settings& s) {
  const std::string group = "Replay";
  add_setting(app, "--replay", s.trace, "Trace whose tokens a stand-in worker routes")->group(group);
  add_setting(app, "--experts", s.experts, "Experts a layer, for traces that do not state it")->group(group);
  add_setting(app, "--rank", s.rank, "Which of --world workers this is, from 0")->capture_default_str()->group(group);
  add_setting(app, "--world", s.world, "Workers in all")
      ->check(CLI::Range(std::size_t{1}, wire::kWorldMax))
      ->capture_default_str()
      ->group(group);
  add_setting(app, "--name", s.name, "Name of the worker; the same after a restart [worker-<rank>]")->group(group);
  add_setting(app, "--model", s.model, "Name of the model and its group of ranks")->capture_default_str()->group(group);
  add_flag_value(app, "--probe", s.probe, "Name of the worker's shared memory [<model>.<name>]")->group(group);
  add_flag_value(app, "--tokens-per-second", s.tokens_per_second, "Pace of the replay")
      ->check(CLI::Range(1.0, 1e9))
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--passes", s.passes, "Times the trace is played, 0 for ever")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--steps-per-window", s.steps_per_window, "Steps that a window of the trace stands for")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--load-ms", s.load_ms, "Modelled time to load a prepared placement")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--spare-buffers", s.spare_buffers,
                 "Expert buffers a GPU has beside its slots, over all layers; 0 for as many as slots")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--paths-one-in", s.paths_one_in, "Sample the path of one token in so many, 0 for none")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--rendezvous", s.rendezvous,
                 "Name that all ranks of this machine share: they switch in the same step, and copy from each other")
      ->group(group);
  add_flag_value(app, "--barrier-timeout-ms", s.barrier_timeout_ms,
                 "Longest wait for the other ranks at a window's end")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--decision-wait-ms", s.decision_wait_ms, "Longest wait for a pending decision at a window's end")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--orphan-timeout-ms", s.orphan_timeout_ms, "Time without an agent after which the worker ends")
      ->capture_default_str()
      ->group(group);
  add_flag_value(app, "--map-log", s.map_log, "Append which map each step ran with, one JSON object a line")
      ->group(group);
}

Status complete(Settings& s) {
  if (s.rank >= s.world) return invalid_input(fmt::format("--rank is {}; give 0 to {}", s.rank, s.world - 1));
  if (s.name.empty()) s.name = fmt::format("worker-{}", s.rank);
  if (s.name == wire::kRebalancerName) return invalid_input("--name rebalancer is the service's; give another");
  EVENKEEL_TRY_STATUS(wire::validate_name("--name", s.name));
  EVENKEEL_TRY_STATUS(wire::validate_name("--model", s.model));
  if (s.probe.empty()) s.probe = probe::segment_name(s.model + "." + s.name).substr(0, probe::kNameMax);
  EVENKEEL_TRY_STATUS(probe::validate_segment_name("--probe", s.probe));
  if (!s.rendezvous.empty()) EVENKEEL_TRY_STATUS(probe::validate_segment_name("--rendezvous", s.rendezvous));
  return {};
}

}  // namespace evenkeel::replay
