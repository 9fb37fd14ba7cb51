#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

namespace evenkeel {

/// Calls work(item) once for each item in [0, items), on this thread and, with more than one, on a second. Results must
/// not depend on which thread runs an item, nor work() touch what another item does.
template <class Work>
void for_each_item(std::size_t items, std::size_t threads, Work&& work) {
  std::atomic<std::size_t> next{0};
  const auto take = [&] {
    for (std::size_t item = next++; item < items; item = next++) work(item);
  };
  if (threads < 2 || items < 2) return take();
  const std::jthread other(take);
  take();
}

}  // namespace evenkeel
