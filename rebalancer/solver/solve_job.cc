#include "rebalancer/solver/solve_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "partition/place.h"
#include "rebalancer/solver/packing.h"

namespace evenkeel::rebalancer {
namespace {

tl::unexpected<Error> not_understood(std::string_view what) {
  return failure(fmt::format("between rebalancer and solver: {}", what));
}

/// The one place where msgpack's exceptions, bad_alloc among them, become an Error.
template <class Read>
Status unpack(std::string_view bytes, Read read) {
  try {
    const msgpack::unpack_limit limit(kWindowsMax, 0, 0, kListBytesMax, 0, kDepthMax);
    std::size_t used = 0;
    // Lists of numbers stay where they are until they are read.
    const auto in_place = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    const auto handle = msgpack::unpack(bytes.data(), bytes.size(), used, in_place, nullptr, limit);
    if (used != bytes.size()) return not_understood("bytes after the end");
    read(handle.get());
    return {};
  } catch (const std::exception& error) {
    return not_understood(error.what());
  }
}

bool has_shape(const StageLoad& window, const ModelShape& shape) {
  return window.load_tokens.rows() == shape.layers() && window.load_tokens.cols() == shape.experts;
}

bool has_shape(const TokenPaths& paths, const ModelShape& shape) {
  if (paths.empty()) return true;
  const std::size_t token_size = paths.rounds() * paths.top_k;
  const auto is_layer = [&](std::uint32_t layer) { return layer < shape.layers(); };
  const auto is_choice = [&](ExpertIndex expert) { return expert < shape.experts || expert == kNoExpert; };
  return token_size > 0 && paths.experts.size() % token_size == 0 && !paths.sequence_start.empty() &&
         std::ranges::is_sorted(paths.sequence_start) && paths.sequence_start.back() == paths.tokens() &&
         std::ranges::all_of(paths.layer_of_round, is_layer) && std::ranges::all_of(paths.experts, is_choice);
}

}  // namespace

std::string encode(const PlanRequest& request) {
  PackWriter out;
  out.put(request);
  return out.take();
}

std::string encode(const SolveAnswer& answer) {
  PackedAnswer packed{.solve_seconds = answer.solve_seconds};
  if (answer.placement) {
    packed.placement = wire::encode_placement(*answer.placement);
  } else {
    packed.code = answer.placement.error().code;
    packed.message = answer.placement.error().message;
  }
  PackWriter out;
  out.put(packed);
  return out.take();
}

Result<PlanRequest> decode_request(std::string_view bytes) {
  PlanRequest request;
  EVENKEEL_TRY_STATUS(unpack(bytes, [&](const msgpack::object& from) { PackReader::get(from, request); }));
  const RoutingProfile& profile = request.profile;
  const auto fits = [&](const StageLoad& window) { return has_shape(window, profile.shape); };
  if (!std::ranges::all_of(profile.windows, fits)) return not_understood("loads differ in shape");
  if (!has_shape(profile.paths, profile.shape)) return not_understood("token paths differ in shape");
  return request;
}

Result<SolveAnswer> decode_answer(std::string_view bytes) {
  PackedAnswer packed;
  EVENKEEL_TRY_STATUS(unpack(bytes, [&](const msgpack::object& from) { PackReader::get(from, packed); }));
  if (!packed.placement.empty()) return SolveAnswer{wire::decode_placement(packed.placement), packed.solve_seconds};
  return SolveAnswer{tl::unexpected(Error{packed.code, one_line(packed.message)}), packed.solve_seconds};
}

SolveAnswer solve(const PlanRequest& request) {
  auto solution = place(request.profile, request.cluster, request.options);
  if (!solution) return {tl::unexpected(solution.error()), 0};
  return {std::move(solution->placement), solution->solve_seconds};
}

}  // namespace evenkeel::rebalancer
