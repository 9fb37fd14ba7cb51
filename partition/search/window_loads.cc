#include "partition/search/window_loads.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "partition/search/wide_vectors.h"

namespace evenkeel {
namespace {

/// Windows that are worked on at once.
constexpr std::size_t kLanes = 8;

/// Loads of two GPUs and of the items that they exchange, in every window.
struct Exchange {
  const float* __restrict on_a;
  const float* __restrict on_b;
  const float* __restrict of_i;
  const float* __restrict of_j;
  /// A whole number of vectors.
  std::size_t windows;
};

// The innermost loops of the search: wider vectors, where the machine has them, halve them.

EVENKEEL_WIDE_VECTORS("avx2")
float excess_price_by(const Exchange& exchange, float threshold, float linear, float squared) {
  const auto [on_a, on_b, of_i, of_j, windows] = exchange;
  float sums[kLanes] = {};
  for (std::size_t first = 0; first < windows; first += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t window = first + lane;
      const float shift = of_i[window] - of_j[window];
      const float over_a = std::max(0.0F, on_a[window] - threshold);
      const float over_b = std::max(0.0F, on_b[window] - threshold);
      const float after_a = std::max(0.0F, on_a[window] - shift - threshold);
      const float after_b = std::max(0.0F, on_b[window] + shift - threshold);
      sums[lane] += after_a * (linear + squared * after_a) + after_b * (linear + squared * after_b) -
                    over_a * (linear + squared * over_a) - over_b * (linear + squared * over_b);
    }
  }
  return std::accumulate(std::begin(sums), std::end(sums), 0.0F);
}

/// The larger of two GPUs' loads after an exchange, in `after` [windows], and whether it makes a largest load less.
EVENKEEL_WIDE_VECTORS("avx2")
bool lowers_largest(const Exchange& exchange, const float* __restrict largest, float* __restrict after) {
  const auto [on_a, on_b, of_i, of_j, windows] = exchange;
  int lowered[kLanes] = {};
  for (std::size_t first = 0; first < windows; first += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t window = first + lane;
      const float shift = of_i[window] - of_j[window];
      const float before = std::max(on_a[window], on_b[window]);
      after[window] = std::max(on_a[window] - shift, on_b[window] + shift);
      lowered[lane] |= static_cast<int>(after[window] < largest[window]) & static_cast<int>(before >= largest[window]);
    }
  }
  return std::ranges::any_of(lowered, [](int lane) { return lane != 0; });
}

EVENKEEL_WIDE_VECTORS("avx2")
void raise_to(float* __restrict values, const float* __restrict others, std::size_t windows) {
  for (std::size_t first = 0; first < windows; first += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      values[first + lane] = std::max(values[first + lane], others[first + lane]);
  }
}

}  // namespace

WindowLoads::WindowLoads(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item)
    : robust_(instance.robust), windows_(instance.window_load[layer].cols()) {
  const std::size_t columns = (windows_ + kLanes - 1) / kLanes * kLanes;
  item_load_ = Grid<float>(instance.items(), columns);
  gpu_load_ = Grid<float>(instance.gpus, columns);
  largest_.resize(columns);
  scratch_.resize(columns);
  for (std::size_t item = 0; item < gpu_of_item.size(); ++item) {
    std::ranges::copy(instance.window_load[layer][item], item_load_[item].begin());
    const auto on_gpu = gpu_load_[gpu_of_item[item]];
    for (std::size_t window = 0; window < windows_; ++window) on_gpu[window] += item_load_(item, window);
  }
  find_largest();
  scratch_ = largest_;
  peak_ = measured();
}

void WindowLoads::find_largest() {
  std::ranges::fill(largest_, 0.0F);
  for (std::size_t gpu = 0; gpu < gpu_load_.rows(); ++gpu)
    raise_to(largest_.data(), gpu_load_[gpu].data(), largest_.size());
}

float WindowLoads::measured() { return windows_ == 0 ? 0.0F : robust_.of(std::span(scratch_).first(windows_)); }

float WindowLoads::peak_after(const WindowSwap& swap) {
  const auto [i, j, a, b] = swap;
  const Exchange exchange{gpu_load_[a].data(), gpu_load_[b].data(), item_load_[i].data(), item_load_[j].data(),
                          largest_.size()};
  if (!lowers_largest(exchange, largest_.data(), scratch_.data())) {
    raise_to(scratch_.data(), largest_.data(), largest_.size());
    return measured();
  }
  for (std::size_t gpu = 0; gpu < gpu_load_.rows(); ++gpu) {
    if (gpu != a && gpu != b) raise_to(scratch_.data(), gpu_load_[gpu].data(), largest_.size());
  }
  return measured();
}

float WindowLoads::excess_price(const WindowSwap& swap, float threshold, float linear, float squared) const {
  const auto [i, j, a, b] = swap;
  const Exchange exchange{gpu_load_[a].data(), gpu_load_[b].data(), item_load_[i].data(), item_load_[j].data(),
                          largest_.size()};
  return excess_price_by(exchange, threshold, linear, squared) / static_cast<float>(std::max<std::size_t>(1, windows_));
}

void WindowLoads::apply(const WindowSwap& swap) {
  peak_ = peak_after(swap);
  for (std::size_t window = 0; window < windows_; ++window) {
    const float shift = item_load_(swap.i, window) - item_load_(swap.j, window);
    gpu_load_(swap.a, window) -= shift;
    gpu_load_(swap.b, window) += shift;
  }
  find_largest();
}

double window_peak(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item) {
  const Grid<float>& item_load = instance.window_load[layer];
  if (item_load.empty()) return 0.0;
  Grid<double> load(instance.gpus, item_load.cols());
  for (std::size_t item = 0; item < gpu_of_item.size(); ++item) {
    for (std::size_t window = 0; window < item_load.cols(); ++window)
      load(gpu_of_item[item], window) += static_cast<double>(item_load(item, window));
  }
  std::vector<double> largest(item_load.cols(), 0.0);
  for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu)
    std::ranges::transform(largest, load[gpu], largest.begin(), [](double x, double y) { return std::max(x, y); });
  return instance.robust.of(std::span(largest));
}

std::vector<double> window_peaks(const Instance& instance, const Assignment& assignment) {
  std::vector<double> peaks;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer)
    peaks.push_back(window_peak(instance, layer, assignment[layer]));
  return peaks;
}

}  // namespace evenkeel
