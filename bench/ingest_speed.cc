// Times the service's intake of 58 x 256 reports beside the parts it is made of, plain and with CURVE, in alternating
// rounds: ingest_speed [ROUNDS] [REPORTS]. Prints microseconds a report of each, and intake as a share of what the
// parts add up to.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agents/shell/curve_keys.h"
#include "agents/shell/zmq_adapter.h"
#include "agents/wire/frame.h"
#include "bench/live_load.h"
#include "rebalancer/core/groups.h"
#include "rebalancer/server/server.h"

namespace evenkeel::bench {
namespace {

using Clock = std::chrono::steady_clock;
using rebalancer::Groups;

constexpr LoadShape kShape{58, 256};
constexpr std::uint32_t kAgents = 16;

template <class T>
T value_or_exit(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "ingest_speed: {}\n", result.error().message);
  std::exit(1);
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A port that another run beside this one does not take, below those that the system gives out.
std::string endpoint_of(int offset) {
  return fmt::format("tcp://127.0.0.1:{}", 20'000 + 4 * (getpid() % 3'000) + offset);
}

/// What each agent sends after its HELLO, in order.
using Load = std::vector<std::vector<wire::Frames>>;

Load make_load(std::size_t reports) {
  Load load(kAgents);
  for (std::uint32_t rank = 0; rank < kAgents; ++rank) {
    for (std::uint64_t i = 1; i <= reports / kAgents; ++i) {
      load[rank].push_back(sealed(rank, i + 1, report_of(rank, i, kShape)));
    }
  }
  return load;
}

/// Keys of both sides; off for the plain rounds.
struct Security {
  shell::Curve server;
  shell::Curve client;
  std::string authorised;
};

Security make_security() {
  Security security;
  security.server.own = shell::generate_curve_keys();
  security.client = {shell::generate_curve_keys(), security.server.own.public_key};
  security.authorised = security.client.own.public_key + " agents worker=agent-*\n";
  return security;
}

/// The agents' side on a thread of its own: says HELLO, waits until `begin`, then sends everything as fast as it is
/// taken. Answers are read and forgotten.
class Senders {
 public:
  Senders(const Load& load, const std::string& endpoint, const shell::Curve& curve)
      : thread_([this, &load, endpoint, curve] { run(load, endpoint, curve); }) {}
  ~Senders() {
    is_done_ = true;
    thread_.join();
  }
  void begin() { is_begun_ = true; }

 private:
  void run(const Load& load, const std::string& endpoint, const shell::Curve& curve) {
    shell::SocketContext context;
    std::vector<shell::Socket> sockets;
    std::vector<std::size_t> sent(kAgents, 0);
    for (std::uint32_t rank = 0; rank < kAgents; ++rank) {
      sockets.push_back(value_or_exit(shell::Socket::dealer(context, endpoint, curve)));
      const auto hello = sealed(rank, 1, hello_of(rank, kAgents, kShape));
      while (sockets.back().send(hello) != shell::Socket::Sent::kQueued && !is_done_) std::this_thread::yield();
    }
    while (!is_done_) {
      bool is_idle = true;
      for (std::uint32_t rank = 0; rank < kAgents; ++rank) {
        while (sockets[rank].receive()) is_idle = false;
        if (!is_begun_ || sent[rank] == load[rank].size()) continue;
        if (sockets[rank].send(load[rank][sent[rank]]) != shell::Socket::Sent::kQueued) continue;
        ++sent[rank];
        is_idle = false;
      }
      // A full queue has milliseconds of work in it.
      if (is_idle) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  std::atomic<bool> is_begun_ = false;
  std::atomic<bool> is_done_ = false;
  std::thread thread_;
};

rebalancer::CoreOptions core_options() {
  rebalancer::CoreOptions options;
  options.cluster.gpus = 16;
  options.agents_expected = kAgents;
  options.tokens_min = wire::kNumberMax;
  options.window_steps = 0;
  options.lease = std::chrono::minutes(10);
  return options;
}

Groups make_groups() { return value_or_exit(Groups::create({core_options(), {}, 1}, {})); }

std::size_t count_of(const Load& load) {
  std::size_t count = 0;
  for (const auto& messages : load) count += messages.size();
  return count;
}

/// The whole service.
double time_ingest(const Load& load, const Security* security, const std::filesystem::path& folder) {
  shell::SocketContext context;
  rebalancer::Keys keys;
  if (security) {
    keys.curve = security->server;
    keys.authorised = value_or_exit(rebalancer::AuthorisedKeys::parse("keys", security->authorised));
  }
  auto journal = value_or_exit(rebalancer::Journal::open(folder / "state"));
  const std::string bind = endpoint_of(0);
  auto server = value_or_exit(rebalancer::Server::start(
      context, {bind, endpoint_of(1)}, make_groups(), std::move(journal), rebalancer::PlannerOptions{},
      [](const wire::Note&) {}, std::move(keys)));
  Senders senders(load, bind, security ? security->client : shell::Curve{});
  const auto work = [&] {
    if (!server.do_work(std::chrono::milliseconds(10))) std::exit(1);
  };
  while (server.groups().counters().hellos_accepted < kAgents) work();
  senders.begin();
  const auto start = Clock::now();
  while (server.groups().counters().reports_accepted < count_of(load)) work();
  const double seconds = seconds_since(start);
  std::filesystem::remove_all(folder / "state");
  return seconds;
}

/// A loop that takes the same messages and answers each with as many bytes as the service does.
double time_echo(const Load& load, const Security* security) {
  shell::SocketContext context;
  std::optional<rebalancer::ZapHandler> zap;
  if (security) {
    zap = value_or_exit(rebalancer::ZapHandler::start(
        context, value_or_exit(rebalancer::AuthorisedKeys::parse("keys", security->authorised))));
  }
  const std::string bind = endpoint_of(2);
  auto router = value_or_exit(shell::Socket::router(context, bind, security ? security->server : shell::Curve{}));
  Senders senders(load, bind, security ? security->client : shell::Curve{});
  const auto answer = wire::seal({"rebalancer", "model", 1, wire::ReportAck{}});
  std::vector<shell::Socket*> sockets{&router};
  if (zap) sockets.push_back(&zap->socket());
  std::size_t taken = 0;
  const auto work = [&] {
    shell::Socket::wait(sockets, std::chrono::milliseconds(10));
    if (zap) zap->answer();
    for (int i = 0; i < 256; ++i) {
      const auto parts = router.receive();
      if (!parts) return;
      ++taken;
      const std::array reply{parts->front(), answer[0], answer[1], answer[2]};
      static_cast<void>(router.send(reply));
    }
  };
  while (taken < kAgents) work();
  senders.begin();
  const auto start = Clock::now();
  while (taken < kAgents + count_of(load)) work();
  return seconds_since(start);
}

/// Frames to a message.
double time_decode(const Load& load) {
  const auto start = Clock::now();
  for (const auto& messages : load) {
    for (const auto& frames : messages) value_or_exit(wire::open(frames));
  }
  return seconds_since(start);
}

/// A message to the sums, with the answer as bytes.
double time_merge(const Load& load) {
  Groups groups = make_groups();
  auto now = Clock::now();
  std::vector<std::vector<rebalancer::Received>> received(kAgents);
  for (std::uint32_t rank = 0; rank < kAgents; ++rank) {
    static_cast<void>(groups.step(
        rebalancer::Received{agent_name(rank), agent_name(rank), "model", hello_of(rank, kAgents, kShape)}, now));
    for (const auto& frames : load[rank]) {
      received[rank].push_back(
          {agent_name(rank), agent_name(rank), "model", value_or_exit(wire::open(frames)).message});
    }
  }
  const auto start = Clock::now();
  for (const auto& messages : received) {
    for (const auto& message : messages) {
      // As agents do: more in one moment than a GPU can count is refused.
      now += std::chrono::seconds(1);
      for (const auto& action : groups.step(message, now)) {
        if (const auto* send = std::get_if<rebalancer::Send>(&action)) {
          static_cast<void>(wire::seal({"rebalancer", send->model, 1, send->message}));
        }
      }
    }
  }
  const double seconds = seconds_since(start);
  if (groups.counters().reports_accepted != count_of(load)) std::exit(1);
  return seconds;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int run(std::size_t rounds, std::size_t reports) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("ingest-speed-{}", getpid());
  std::filesystem::create_directories(folder);
  const Load load = make_load(reports);
  const Security security = make_security();
  const double count = static_cast<double>(count_of(load));
  std::size_t bytes = 0;
  for (const auto& messages : load) {
    for (const auto& frames : messages) bytes += frames[2].size();
  }
  std::array<std::vector<double>, 6> times;
  for (std::size_t round = 0; round < rounds; ++round) {
    times[0].push_back(time_decode(load));
    times[1].push_back(time_merge(load));
    times[2].push_back(time_echo(load, nullptr));
    times[3].push_back(time_ingest(load, nullptr, folder));
    times[4].push_back(time_echo(load, &security));
    times[5].push_back(time_ingest(load, &security, folder));
  }
  std::filesystem::remove_all(folder);
  std::array<double, 6> us{};
  std::ranges::transform(times, us.begin(), [&](const auto& t) { return median(t) / count * 1e6; });
  fmt::print("{} reports of {} x {} experts, {:.0f} bytes each, {} agents, median of {} rounds; us a report\n",
             count_of(load), kShape.layers, kShape.experts, static_cast<double>(bytes) / count, kAgents, rounds);
  fmt::print("{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}{:>8}\n", "transport", "echo", "decode", "merge", "parts",
             "intake", "reports/s", "share");
  for (const auto& [name, at] : {std::pair{"plain", std::size_t{2}}, std::pair{"curve", std::size_t{4}}}) {
    const double parts = us[at] + us[0] + us[1];
    fmt::print("{:<10}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>12.0f}{:>8.2f}\n", name, us[at], us[0], us[1],
               parts, us[at + 1], 1e6 / us[at + 1], parts / us[at + 1]);
  }
  return 0;
}

std::size_t argument(int argc, char** argv, int index, std::size_t otherwise) {
  std::size_t value = otherwise;
  if (index < argc) {
    const std::string_view text = argv[index];
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return value;
}

}  // namespace
}  // namespace evenkeel::bench

int main(int argc, char** argv) {
  using evenkeel::bench::argument;
  return evenkeel::bench::run(std::max<std::size_t>(1, argument(argc, argv, 1, 5)),
                              std::max<std::size_t>(16, argument(argc, argv, 2, 1'600)));
}
