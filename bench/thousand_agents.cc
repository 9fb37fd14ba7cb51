// Many agents on one rebalancer, a process of its own with keys, each reporting once a second 26 x 64 counts of two
// stages: thousand_agents EVENKEEL-REBALANCER [AGENTS] [SECONDS]. Prints how long acknowledgements took, beside a bare
// echo of as many bytes over loopback TCP in the same run, and the service's memory an agent.

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "agents/shell/curve_keys.h"
#include "agents/shell/zmq_adapter.h"
#include "agents/wire/frame.h"
#include "bench/live_load.h"

namespace evenkeel::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr LoadShape kShape{26, 64, 2};
// Two sockets each; ZeroMQ holds 1,023 a context unless told otherwise.
constexpr std::uint32_t kAgentsOfContext = 250;

[[noreturn]] void fail(std::string_view message) {
  fmt::print(stderr, "thousand_agents: {}\n", message);
  std::exit(1);
}

template <class T>
T value_or_exit(Result<T> result) {
  if (!result) fail(result.error().message);
  return std::move(*result);
}

double percentile(std::vector<double>& values, double share) {
  if (values.empty()) fail("nothing was measured");
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

/// The rebalancer, ended with the object.
class Rebalancer {
 public:
  Rebalancer(const std::string& program, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, program.c_str(), nullptr, nullptr, argv.data(), environ) != 0)
      fail(program + " does not start");
  }
  ~Rebalancer() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Rebalancer(const Rebalancer&) = delete;
  Rebalancer& operator=(const Rebalancer&) = delete;

  [[nodiscard]] double resident_bytes() const {
    double pages = 0;
    std::ifstream statm(fmt::format("/proc/{}/statm", pid_));
    statm >> pages >> pages;
    return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  }
  /// User and system time so far.
  [[nodiscard]] double cpu_seconds() const {
    std::ifstream stat(fmt::format("/proc/{}/stat", pid_));
    std::string word;
    double ticks = 0;
    for (int field = 1; stat >> word && field <= 15; ++field) {
      if (field == 14 || field == 15) ticks += std::stod(word);
    }
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  }

 private:
  pid_t pid_ = 0;
};

/// A listener on loopback at a port that the system chose, and that port.
std::pair<int, std::uint16_t> listen_on_loopback() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, any, length) != 0 || listen(listener, 1) != 0 || getsockname(listener, any, &length) != 0) {
    fail("loopback TCP does not work");
  }
  return {listener, ntohs(address.sin_port)};
}

/// A blocking echo over loopback, 50 times a second: `bytes` there, 100 back. What any service on this machine pays.
class LoopbackEcho {
 public:
  explicit LoopbackEcho(std::size_t bytes) : bytes_(bytes) {
    const auto [listener, port] = listen_on_loopback();
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (connect(client_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      fail("loopback TCP does not work");
    server_ = accept(listener, nullptr, nullptr);
    close(listener);
    server_thread_ = std::thread([this] { serve(); });
    client_thread_ = std::thread([this] { measure(); });
  }
  /// Ends it; the milliseconds of each round trip.
  std::vector<double> end() {
    is_done_ = true;
    client_thread_.join();
    shutdown(server_, SHUT_RDWR);
    server_thread_.join();
    close(server_);
    close(client_);
    return times_;
  }

 private:
  static constexpr std::size_t kAnswerBytes = 100;

  static bool read_all(int descriptor, std::vector<char>& buffer) {
    return recv(descriptor, buffer.data(), buffer.size(), MSG_WAITALL) == static_cast<ssize_t>(buffer.size());
  }
  void serve() const {
    std::vector<char> question(bytes_);
    const std::vector<char> answer(kAnswerBytes);
    while (read_all(server_, question)) {
      if (::send(server_, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
    }
  }
  void measure() {
    const std::vector<char> question(bytes_);
    std::vector<char> answer(kAnswerBytes);
    while (!is_done_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const auto start = Clock::now();
      if (::send(client_, question.data(), question.size(), MSG_NOSIGNAL) < 0 || !read_all(client_, answer)) return;
      times_.push_back(Milliseconds(Clock::now() - start).count());
    }
  }

  std::size_t bytes_;
  int client_ = -1;
  int server_ = -1;
  std::atomic<bool> is_done_ = false;
  std::vector<double> times_;
  std::thread server_thread_;
  std::thread client_thread_;
};

struct FakeAgent {
  shell::Socket socket;
  /// Never read: it is there for what it costs the service.
  shell::Socket subscriber;
  std::uint64_t sequence = 0;
  std::uint64_t acknowledged = 0;
  bool has_joined = false;
  Clock::time_point due{};
  /// When each report was sent, from the first.
  std::vector<Clock::time_point> sent_at = {};
};

/// All agents in this thread.
class Fleet {
 public:
  Fleet(std::uint32_t agents, const std::string& bind, const std::string& publish, const shell::Curve& curve) {
    for (std::uint32_t rank = 0; rank < agents; ++rank) {
      if (rank % kAgentsOfContext == 0) contexts_.push_back(std::make_unique<shell::SocketContext>());
      auto& context = *contexts_.back();
      agents_.push_back(
          {value_or_exit(shell::Socket::dealer(context, bind, curve)),
           value_or_exit(shell::Socket::subscriber(context, publish, wire::broadcast_topic("model"), curve))});
    }
    for (FakeAgent& agent : agents_) all_.push_back(&agent.socket);
  }

  /// Every agent says HELLO and waits for the placement.
  void join() {
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    std::vector<bool> has_said(agents_.size(), false);
    while (!std::ranges::all_of(agents_, &FakeAgent::has_joined)) {
      if (Clock::now() > deadline) fail("not all agents got a placement within 60 s");
      for (std::uint32_t rank = 0; rank < agents_.size(); ++rank) {
        if (has_said[rank]) continue;
        const auto hello = sealed(rank, 1, hello_of(rank, static_cast<std::uint32_t>(agents_.size()), kShape));
        has_said[rank] = agents_[rank].socket.send(hello) == shell::Socket::Sent::kQueued;
      }
      take_answers();
    }
  }

  /// So many reports of each agent, one a second, the agents evenly spread; then what is still to be acknowledged.
  void report(std::uint64_t reports) {
    const auto start = Clock::now();
    for (std::size_t i = 0; i < agents_.size(); ++i) {
      agents_[i].due = start + std::chrono::microseconds(1'000'000 * i / agents_.size());
    }
    const auto still_reports = [&](const FakeAgent& agent) { return agent.sequence < reports; };
    while (std::ranges::any_of(agents_, still_reports)) {
      for (std::uint32_t rank = 0; rank < agents_.size(); ++rank) {
        if (still_reports(agents_[rank]) && Clock::now() >= agents_[rank].due) send_report(rank);
      }
      take_answers();
    }
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    const auto is_behind = [](const FakeAgent& agent) { return agent.acknowledged < agent.sequence; };
    while (Clock::now() < deadline && std::ranges::any_of(agents_, is_behind)) take_answers();
  }

  [[nodiscard]] std::vector<double>& times() { return times_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  void send_report(std::uint32_t rank) {
    FakeAgent& agent = agents_[rank];
    agent.due += std::chrono::seconds(1);
    ++agent.sequence;
    const auto frames = sealed(rank, agent.sequence + 1, report_of(rank, agent.sequence, kShape));
    agent.sent_at.push_back(Clock::now());
    ++sent_;
    if (agent.socket.send(frames) != shell::Socket::Sent::kQueued) ++dropped_;
  }

  void take_answers() {
    shell::Socket::wait(all_, std::chrono::milliseconds(1));
    const auto now = Clock::now();
    for (FakeAgent& agent : agents_) {
      while (const auto parts = agent.socket.receive()) take(agent, *parts, now);
    }
  }

  void take(FakeAgent& agent, const shell::Parts& parts, Clock::time_point now) {
    const auto envelope = wire::open(parts);
    if (!envelope) fail("the rebalancer's answer cannot be read: " + envelope.error().message);
    if (const auto* refusal = std::get_if<wire::Refusal>(&envelope->message)) fail("refused: " + refusal->detail);
    if (const auto* snapshot = std::get_if<wire::Snapshot>(&envelope->message)) {
      agent.has_joined = true;
      const wire::Applied applied{snapshot->stamp, 1, wire::digest(snapshot->placement), 0};
      const auto rank = static_cast<std::uint32_t>(&agent - agents_.data());
      static_cast<void>(agent.socket.send(sealed(rank, 2, applied)));
    }
    const auto* ack = std::get_if<wire::ReportAck>(&envelope->message);
    // Late ones count; the service may repeat one to say that a decision is made.
    if (!ack || ack->sequence <= agent.acknowledged || ack->sequence > agent.sequence) return;
    agent.acknowledged = ack->sequence;
    times_.push_back(Milliseconds(now - agent.sent_at[ack->sequence - 1]).count());
  }

  std::vector<std::unique_ptr<shell::SocketContext>> contexts_;
  std::vector<FakeAgent> agents_;
  std::vector<shell::Socket*> all_;
  std::vector<double> times_;
  std::uint64_t sent_ = 0;
  std::uint64_t dropped_ = 0;
};

/// Two ports that nothing listens on.
std::pair<std::uint16_t, std::uint16_t> free_ports() {
  const auto [first, first_port] = listen_on_loopback();
  const auto [second, second_port] = listen_on_loopback();
  close(first);
  close(second);
  return {first_port, second_port};
}

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int run(const std::string& program, std::uint32_t agents, std::chrono::seconds duration) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("thousand-agents-{}", getpid());
  std::filesystem::create_directories(folder);
  const auto [bind_port, publish_port] = free_ports();
  const std::string bind = fmt::format("tcp://127.0.0.1:{}", bind_port);
  const std::string publish = fmt::format("tcp://127.0.0.1:{}", publish_port);
  shell::Curve curve{shell::generate_curve_keys(), ""};
  const shell::CurveKeys server_keys = shell::generate_curve_keys();
  curve.server_key = server_keys.public_key;
  if (!shell::write_curve_keys(folder, "rebalancer", server_keys)) fail("keys cannot be written");
  std::ofstream(folder / "authorised") << curve.own.public_key << " agents worker=agent-*\n";
  // Before the service starts: it inherits the limit as any program under systemd would.
  raise_descriptor_limit();
  std::vector<double> echo;
  {
    const Rebalancer rebalancer(
        program, {"--bind", bind, "--publish", publish, "--state", (folder / "state").string(), "--gpus", "8",
                  "--agents", std::to_string(agents), "--min-tokens", "1000000000000000", "--curve-secret",
                  (folder / "rebalancer.secret").string(), "--authorized-keys", (folder / "authorised").string(),
                  "--log-level", "error"});
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const double before = rebalancer.resident_bytes();
    Fleet fleet(agents, bind, publish, curve);
    const auto start = Clock::now();
    fleet.join();
    const double join_seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const std::size_t bytes = sealed(0, 1, report_of(0, 30, kShape))[2].size();
    const double cpu_before = rebalancer.cpu_seconds();
    LoopbackEcho loopback(bytes);
    fleet.report(static_cast<std::uint64_t>(duration.count()));
    echo = loopback.end();
    const double cpu = rebalancer.cpu_seconds() - cpu_before;
    const double grown = rebalancer.resident_bytes() - before;
    auto& times = fleet.times();
    fmt::print("{} agents, {} x {} experts, {} stages, {} bytes a report, {} s, keys; all joined in {:.1f} s\n", agents,
               kShape.layers, kShape.experts, kShape.stages, bytes, duration.count(), join_seconds);
    fmt::print("reports: {} sent, {} not taken, {} acknowledged; service used {:.1f} % of a core\n", fleet.sent(),
               fleet.dropped(), times.size(), 100 * cpu / static_cast<double>(duration.count()));
    fmt::print("acknowledgement, ms: p50 {:.1f}, p99 {:.1f}, most {:.1f}\n", percentile(times, 0.5),
               percentile(times, 0.99), percentile(times, 1));
    fmt::print("loopback echo, ms: p50 {:.2f}, p99 {:.2f}, most {:.2f}\n", percentile(echo, 0.5),
               percentile(echo, 0.99), percentile(echo, 1));
    fmt::print("memory: {:.0f} KB an agent, {:.0f} MB in all\n", grown / agents / 1e3,
               rebalancer.resident_bytes() / 1e6);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace evenkeel::bench

int main(int argc, char** argv) {
  const auto number = [&](int index, std::uint32_t otherwise) {
    std::uint32_t value = otherwise;
    if (index < argc) std::from_chars(argv[index], argv[index] + std::strlen(argv[index]), value);
    return value;
  };
  if (argc < 2) {
    fmt::print(stderr, "thousand_agents: give the rebalancer's program\n");
    return 2;
  }
  return evenkeel::bench::run(argv[1], number(2, 1'000), std::chrono::seconds(number(3, 60)));
}
