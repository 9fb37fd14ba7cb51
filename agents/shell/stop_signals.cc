#include "agents/shell/stop_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "partition/foundation/check.h"

namespace evenkeel::shell {

StopSignals::StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  EVENKEEL_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0, "the signals can be blocked");
  descriptor_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  EVENKEEL_CHECK(descriptor_ >= 0, "a process that has just started has a free descriptor");
}

StopSignals::~StopSignals() { close(descriptor_); }

std::optional<int> StopSignals::exit_code() {
  read_signals();
  return std::exchange(exit_code_, std::nullopt);
}

bool StopSignals::take_reload() {
  read_signals();
  return std::exchange(is_reload_wanted_, false);
}

void StopSignals::read_signals() {
  constexpr int kInterrupted = 130;
  signalfd_siginfo info{};
  while (read(descriptor_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      is_reload_wanted_ = true;
    } else {
      exit_code_ = info.ssi_signo == SIGTERM ? 0 : kInterrupted;
    }
  }
}

}  // namespace evenkeel::shell
