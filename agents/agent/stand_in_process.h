#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "agents/probe/probe_reader.h"
#include "partition/foundation/result.h"

namespace evenkeel::agent {

/// The stand-in worker of `evenkeel-agent --replay`: a process of its own that outlives the agent. An agent that comes
/// back finds it by the name of its probe.
class StandInProcess {
 public:
  /// Starts `evenkeel-stand-in` from the folder of this program, with the same arguments, unless a worker that lives or
  /// has finished has the probe. Returns when the probe is there. Fails where the worker ends before that (it has said
  /// why on standard error), or within 60 s.
  [[nodiscard]] static Result<StandInProcess> start(const std::string& probe, char** arguments);

  /// Lets the worker end and waits up to 3 s for it.
  void release(probe::ProbeReader& probe) const;

 private:
  explicit StandInProcess(pid_t child) : child_(child) {}
  pid_t child_;
};

}  // namespace evenkeel::agent
