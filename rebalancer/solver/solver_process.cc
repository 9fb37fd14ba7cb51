#include "rebalancer/solver/solver_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace evenkeel::rebalancer {
namespace {

using Clock = std::chrono::steady_clock;

/// The largest map that wire/limits.h allows is 0.6 MiB.
constexpr std::size_t kAnswerBytesMax = std::size_t{4} << 20;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

/// A process that is killed and collected unless it has ended.
class Child {
 public:
  explicit Child(pid_t process) : process_(process) {}
  Child(Child&& other) noexcept : process_(std::exchange(other.process_, 0)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (process_ == 0) return;
    kill(process_, SIGKILL);
    static_cast<void>(wait());
  }
  /// How it ended, as waitpid() has it.
  int wait() {
    int status = 0;
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = 0;
    return status;
  }

 private:
  pid_t process_;
};

/// A pair of connected sockets; unlike a pipe's, a write to one whose other end is gone raises no signal.
Result<std::pair<Descriptor, Descriptor>> connected_pair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return failure(fmt::format("no pipe to a solver: {}", std::strerror(errno)));
  }
  return std::pair(Descriptor(ends[0]), Descriptor(ends[1]));
}

/// Runs a command whose standard input and output are `end`; it has no other descriptors but standard error, and takes
/// signals, which the rebalancer's threads block.
Result<Child> spawn(const std::vector<std::string>& command, int end) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, end, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, end, STDOUT_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t process = 0;
  const int error = posix_spawn(&process, argv.front(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return failure(fmt::format("no solver child: {}", std::strerror(error)));
  return Child(process);
}

/// How long to wait for a child.
struct Patience {
  Clock::time_point deadline;
  std::stop_token stop;
};

enum class Piped { kDone, kLate, kStopped, kTooMuch };

/// Waits until the pipe is ready: kDone.
Piped wait_for(int pipe, short events, const Patience& patience) {
  constexpr std::int64_t kLookMs = 50;
  while (!patience.stop.stop_requested()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience.deadline - Clock::now()).count();
    pollfd polled{pipe, events, 0};
    const int ready = poll(&polled, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, kLookMs)));
    if (ready > 0) return Piped::kDone;
    if (left <= 0 || (ready < 0 && errno != EINTR)) return Piped::kLate;
  }
  return Piped::kStopped;
}

Piped write_all(int pipe, std::string_view bytes, const Patience& patience) {
  while (!bytes.empty()) {
    if (const Piped waited = wait_for(pipe, POLLOUT, patience); waited != Piped::kDone) return waited;
    const ssize_t sent = send(pipe, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // Its end says more than this failure does.
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Piped::kDone;
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  shutdown(pipe, SHUT_WR);
  return Piped::kDone;
}

Piped read_all(int pipe, std::string& bytes, const Patience& patience) {
  std::array<char, 65536> chunk{};
  while (true) {
    if (const Piped waited = wait_for(pipe, POLLIN, patience); waited != Piped::kDone) return waited;
    const ssize_t got = recv(pipe, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return Piped::kDone;
    if (got < 0) continue;
    bytes.append(chunk.data(), static_cast<std::size_t>(got));
    if (bytes.size() > kAnswerBytesMax) return Piped::kTooMuch;
  }
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGXCPU || signal == SIGKILL) return "the solver was ended at its limit of CPU time or memory";
    return fmt::format("the solver ended by {}", strsignal(signal));
  }
  return fmt::format("the solver ended with exit code {} and no answer", WEXITSTATUS(status));
}

void limit(int resource, std::uint64_t most) {
  const rlimit limits{most, most};
  setrlimit(static_cast<__rlimit_resource>(resource), &limits);
}

std::string read_standard_input() {
  std::string bytes;
  std::array<char, 65536> chunk{};
  while (true) {
    const ssize_t got = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bytes;
    bytes.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::vector<std::string> solver_command() { return {"/proc/self/exe", kSolveArgument}; }

Result<SolveAnswer> solve_in_child(const std::vector<std::string>& command, const PlanRequest& request,
                                   const SolverLimits& limits, const std::stop_token& stop) {
  const auto wall = request.options.effort.time + limits.on_top;
  const Patience patience{Clock::now() + std::chrono::duration_cast<Clock::duration>(wall), stop};
  EVENKEEL_TRY(pair, connected_pair());
  std::vector<std::string> words = command;
  words.push_back(std::to_string(limits.memory_bytes));
  words.push_back(std::to_string(static_cast<std::uint64_t>(std::ceil(2 * wall.count()))));
  Descriptor ours = std::move(pair.first);
  auto child = [&, theirs = std::move(pair.second)] { return spawn(words, theirs.get()); }();
  if (!child) return tl::unexpected(child.error());
  std::string answer;
  Piped piped = write_all(ours.get(), encode(request), patience);
  if (piped == Piped::kDone) piped = read_all(ours.get(), answer, patience);
  if (piped == Piped::kStopped) return failure("the solver was stopped");
  if (piped == Piped::kLate) return failure(fmt::format("the solver was ended after {:.3g} s", wall.count()));
  if (piped == Piped::kTooMuch) return failure("the solver's answer has no end");
  const int status = child->wait();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return failure(how_it_ended(status));
  return decode_answer(answer);
}

int run_solver_child(const std::string& memory_bytes, const std::string& cpu_seconds) {
  // No solver outlives its rebalancer.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  limit(RLIMIT_CORE, 0);
  if (kLimitsMemory) limit(RLIMIT_AS, std::strtoull(memory_bytes.c_str(), nullptr, 10));
  limit(RLIMIT_CPU, std::strtoull(cpu_seconds.c_str(), nullptr, 10));
  const auto request = decode_request(read_standard_input());
  const std::string answer = encode(request ? solve(*request) : SolveAnswer{tl::unexpected(request.error()), 0});
  const bool is_written = std::fwrite(answer.data(), 1, answer.size(), stdout) == answer.size();
  return is_written && std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace evenkeel::rebalancer
