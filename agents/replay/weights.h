#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/probe/segment.h"
#include "partition/foundation/result.h"

namespace evenkeel::replay {

/// An expert in the memory of a GPU.
struct Resident {
  std::uint32_t gpu = 0;
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;
  auto operator<=>(const Resident&) const = default;
};

/// What stands for an expert's weights: 4 KiB that its layer and number determine.
using Buffer = std::array<std::uint64_t, 512>;
[[nodiscard]] Buffer weights_of(std::uint32_t layer, std::uint32_t expert);

/// The expert buffers of one rank's GPUs, in shared memory where other ranks copy from. Named after the rank's probe.
class Weights {
 public:
  /// `buffers` of each GPU named. Fails as Segment::create().
  [[nodiscard]] static Result<Weights> create(const std::string& probe, std::vector<std::uint32_t> gpus,
                                              std::size_t buffers_per_gpu);
  Weights(Weights&&) noexcept = default;
  ~Weights();

  [[nodiscard]] bool has(const Resident& resident) const { return buffer_of_.count(resident) != 0; }
  /// Puts an expert into a free buffer of its GPU; false where there is none.
  [[nodiscard]] bool put(const Resident& resident, const Buffer& weights);
  /// Frees the buffers of everything else.
  void keep_only(const std::set<Resident>& residents);

  /// Copies what another rank's GPU holds; nothing where it does not.
  [[nodiscard]] static std::optional<Buffer> copy_from(const std::string& probe, const Resident& resident);

 private:
  Weights(std::string probe, probe::Segment segment)
      : probe_(std::move(probe)), segment_(std::make_unique<probe::Segment>(std::move(segment))) {}

  std::string probe_;
  std::unique_ptr<probe::Segment> segment_;
  std::map<Resident, std::size_t> buffer_of_;
  /// Free buffers of each GPU.
  std::map<std::uint32_t, std::vector<std::size_t>> free_;
};

}  // namespace evenkeel::replay
