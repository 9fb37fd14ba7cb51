#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace evenkeel::rebalancer {

/// Hands questions from the HTTP thread to the service's loop, which alone may look at the core. One asks, one answers.
class StatusBoard {
 public:
  enum class Topic { kNone, kMetrics, kStatus, kReady };

  /// Waits until the loop has answered, at most `timeout`. Nothing where it does not: the loop stands still. For the
  /// HTTP thread.
  [[nodiscard]] std::optional<std::string> ask(Topic topic, std::chrono::milliseconds timeout);
  /// Answers what has been asked, if anything. For the loop; costs one atomic read where nothing has.
  void answer(const std::function<std::string(Topic)>& text_of);

 private:
  std::atomic<Topic> asked_{Topic::kNone};
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<std::string> text_;
};

}  // namespace evenkeel::rebalancer
