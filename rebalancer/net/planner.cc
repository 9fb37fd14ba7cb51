#include "rebalancer/net/planner.h"

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "partition/model/check.h"
#include "partition/place.h"

namespace evenkeel::rebalancer {
namespace {

constexpr const char* kEndpoint = "inproc://planner";

/// Ownership crosses the pair as the bytes of a pointer; no bytes at all ask the thread to end.
template <class T>
void send_owned(shell::Socket& socket, std::unique_ptr<T> value) {
  std::string bytes(sizeof(T*), '\0');
  T* pointer = value.release();
  std::memcpy(bytes.data(), &pointer, sizeof pointer);
  const auto sent = socket.send(std::array{std::move(bytes)});
  EVENKEEL_CHECK(sent == shell::Socket::Sent::kQueued, "one plan at a time fits the queue");
}

template <class T>
std::unique_ptr<T> owned(const std::string& bytes) {
  if (bytes.empty()) return nullptr;
  T* pointer = nullptr;
  EVENKEEL_CHECK(bytes.size() == sizeof pointer, "only send_owned writes here");
  std::memcpy(&pointer, bytes.data(), sizeof pointer);
  return std::unique_ptr<T>(pointer);
}

PlanReady solve(const StartPlanning& job, const PlannerOptions& options) {
  PlaceOptions place_options;
  place_options.redundant = options.redundant;
  place_options.time = options.solve_time;
  const auto solution = place(job.profile, options.cluster, place_options);
  if (!solution) return {job.plan, tl::unexpected(solution.error()), 0};
  return {job.plan, solution->placement, solution->solve_seconds};
}

void serve(shell::Socket socket, const PlannerOptions& options) {
  const std::array<shell::Socket*, 1> sockets{&socket};
  while (true) {
    shell::Socket::wait(sockets, std::chrono::seconds(1));
    const auto parts = socket.receive();
    if (!parts) continue;
    const auto job = owned<StartPlanning>(parts->front());
    if (!job) return;
    send_owned(socket, std::make_unique<PlanReady>(solve(*job, options)));
  }
}

}  // namespace

Result<Planner> Planner::start(shell::SocketContext& context, PlannerOptions options) {
  EVENKEEL_TRY(near, shell::Socket::pair_bound(context, kEndpoint));
  EVENKEEL_TRY(far, shell::Socket::pair_connected(context, kEndpoint));
  std::thread thread([end = std::move(far), options]() mutable { serve(std::move(end), options); });
  return Planner(std::make_unique<shell::Socket>(std::move(near)), std::move(thread));
}

Planner::Planner(std::unique_ptr<shell::Socket> socket, std::thread thread)
    : socket_(std::move(socket)), thread_(std::move(thread)) {}

Planner::Planner(Planner&&) noexcept = default;

Planner::~Planner() {
  if (!thread_.joinable()) return;
  const auto sent = socket_->send(std::array{std::string()});
  EVENKEEL_CHECK(sent == shell::Socket::Sent::kQueued, "one plan and the wish to end fit the queue");
  thread_.join();
  while (take_finished()) {
  }
}

void Planner::plan(StartPlanning job) { send_owned(*socket_, std::make_unique<StartPlanning>(std::move(job))); }

std::optional<PlanReady> Planner::take_finished() {
  const auto parts = socket_->receive();
  if (!parts) return std::nullopt;
  return std::move(*owned<PlanReady>(parts->front()));
}

}  // namespace evenkeel::rebalancer
