#include "agents/shell/stop_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "partition/model/check.h"

namespace evenkeel::shell {

StopSignals::StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  EVENKEEL_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0, "the two signals can be blocked");
  descriptor_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  EVENKEEL_CHECK(descriptor_ >= 0, "a process that has just started has a free descriptor");
}

StopSignals::~StopSignals() { close(descriptor_); }

std::optional<int> StopSignals::exit_code() {
  constexpr int kInterrupted = 130;
  signalfd_siginfo info{};
  if (read(descriptor_, &info, sizeof info) != sizeof info) return std::nullopt;
  return info.ssi_signo == SIGTERM ? 0 : kInterrupted;
}

}  // namespace evenkeel::shell
