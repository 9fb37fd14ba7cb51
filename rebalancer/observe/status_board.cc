#include "rebalancer/observe/status_board.h"

#include <utility>

namespace evenkeel::rebalancer {

std::optional<std::string> StatusBoard::ask(Topic topic, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  text_.reset();
  asked_ = topic;
  answered_.wait_for(lock, timeout, [this] { return text_.has_value(); });
  asked_ = Topic::kNone;
  return std::exchange(text_, std::nullopt);
}

void StatusBoard::answer(const std::function<std::string(Topic)>& text_of) {
  if (asked_ == Topic::kNone) return;
  const std::lock_guard lock(mutex_);
  // It may have given up just now.
  const Topic topic = asked_.exchange(Topic::kNone);
  if (topic == Topic::kNone) return;
  text_ = text_of(topic);
  answered_.notify_one();
}

}  // namespace evenkeel::rebalancer
