#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "rebalancer/solver/solve_job.h"

namespace evenkeel::rebalancer {

/// What a solver child may use up. It is ended where it takes more.
struct SolverLimits {
  /// Address space. A model of 58 layers of 256 experts takes some 0.1 GiB.
  std::uint64_t memory_bytes = std::uint64_t{4} << 30;
  /// Beyond the time of its search, for the CPU time of each of its two threads and for the wall: reading the job,
  /// bounds and the verifier.
  std::chrono::duration<double> on_top{10.0};
};

/// Sanitizers keep their shadow in terabytes of address space, which then cannot be limited.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kLimitsMemory = false;
#else
inline constexpr bool kLimitsMemory = true;
#endif

/// The command line of a solver child: this very program, whatever becomes of its file. `argv[0]` is what is run.
[[nodiscard]] std::vector<std::string> solver_command();

/// Has a request solved in a child process and waits for the answer: GLPK stops a program that misuses it and METIS
/// cannot be interrupted, so neither may live in a service. The child sees nothing of this process but the pipe.
/// Thread-safe. Fails with kFailure, saying how it ended, where the child crashes, exceeds its limits, answers anything
/// else than an answer, or is stopped.
[[nodiscard]] Result<SolveAnswer> solve_in_child(const std::vector<std::string>& command, const PlanRequest& request,
                                                 const SolverLimits& limits, const std::stop_token& stop = {});

/// The child: limits itself, reads a request from standard input until its end, writes the answer to standard output.
/// `memory_bytes` and `cpu_seconds` as text, as solve_in_child() appends them to the command. The exit code.
[[nodiscard]] int run_solver_child(const std::string& memory_bytes, const std::string& cpu_seconds);

/// First argument of a solver child.
inline constexpr const char* kSolveArgument = "--solve";

}  // namespace evenkeel::rebalancer
