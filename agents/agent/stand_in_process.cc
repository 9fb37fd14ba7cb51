#include "agents/agent/stand_in_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include "agents/probe/segment.h"

namespace evenkeel::agent {
namespace {

constexpr std::chrono::seconds kStartWait{60};
constexpr std::chrono::seconds kEndWait{3};
constexpr std::chrono::milliseconds kOtherWait{500};
constexpr std::chrono::milliseconds kLook{2};

bool is_there(const std::string& probe) {
  const auto reader = probe::ProbeReader::attach(probe);
  return reader && reader->is_alive();
}

Result<pid_t> spawn(char** arguments) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "evenkeel-stand-in";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Who reads the agent's output must not wait for the worker's end.
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed == 0) return child;
  return failure(fmt::format("{}: it cannot be started ({}); install it beside evenkeel-agent", program.string(),
                             std::generic_category().message(failed)));
}

}  // namespace

Result<StandInProcess> StandInProcess::start(const std::string& probe, char** arguments) {
  if (is_there(probe)) return StandInProcess(0);
  EVENKEEL_TRY(child, spawn(arguments));
  auto until = std::chrono::steady_clock::now() + kStartWait;
  std::optional<int> ended;
  while (std::chrono::steady_clock::now() < until) {
    if (is_there(probe)) return StandInProcess(ended ? 0 : child);
    int status = 0;
    if (!ended && waitpid(child, &status, WNOHANG) == child) {
      // An agent that was killed may have started one that is still reading its trace: this one gave way to it.
      ended = status;
      until = std::chrono::steady_clock::now() + kOtherWait;
    }
    std::this_thread::sleep_for(kLook);
  }
  if (!ended) {
    return failure(fmt::format("probe {}: the stand-in worker has not made it within {} s", probe, kStartWait.count()));
  }
  const bool is_input = WIFEXITED(*ended) && WEXITSTATUS(*ended) == exit_code(ErrorCode::kInvalidInput);
  const std::string message = "--replay: the stand-in worker has ended; it says why above";
  return is_input ? Result<StandInProcess>(invalid_input(message)) : Result<StandInProcess>(failure(message));
}

void StandInProcess::release(probe::ProbeReader& probe) const {
  probe.header().released.store(1, std::memory_order_release);
  const auto until = std::chrono::steady_clock::now() + kEndWait;
  while (probe.is_alive() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(kLook);
  if (child_ != 0) waitpid(child_, nullptr, WNOHANG);
}

}  // namespace evenkeel::agent
