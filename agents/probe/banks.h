#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "agents/probe/layout.h"

namespace evenkeel::probe {

/// Words of a table that others may read while it is written. Who reads a new one (acquire) sees what its writer had
/// announced before (release): a reader that looks at the announcement afterwards knows whether its copy is whole.
/// Plain moves on x86, and unlike fences something that ThreadSanitizer understands.
inline void store_word(std::uint64_t* word, std::uint64_t value) {
  std::atomic_ref(*word).store(value, std::memory_order_release);
}
[[nodiscard]] inline std::uint64_t load_word(std::uint64_t* word) {
  return std::atomic_ref(*word).load(std::memory_order_acquire);
}

/// Two copies of a table of words in shared memory, written in turn: one process publishes, others read the last whole
/// publication at any moment, also when the writer died in the middle of the next. (Lamport's concurrent reading and
/// writing: the reader checks that the writer has not come round to its bank.)
class Banks {
 public:
  Banks(BankClock& clock, std::uint64_t* words, std::size_t bank_words)
      : clock_(&clock), words_(words), bank_words_(bank_words) {}

  /// The bank to fill with store_word(). It holds the publication before the last.
  [[nodiscard]] std::uint64_t* begin() {
    const std::uint64_t next = clock_->published.load(std::memory_order_relaxed) + 1;
    clock_->writing.store(next, std::memory_order_relaxed);
    return bank(next);
  }
  void publish() {
    clock_->published.store(clock_->writing.load(std::memory_order_relaxed), std::memory_order_release);
  }

  [[nodiscard]] std::uint64_t published() const { return clock_->published.load(std::memory_order_acquire); }

  /// Copies the first words of the last publication. False where the writer was quicker, several times over.
  [[nodiscard]] bool read(std::span<std::uint64_t> into) const {
    constexpr int kAttempts = 100;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const std::uint64_t number = published();
      std::uint64_t* const from = bank(number);
      for (std::size_t i = 0; i < into.size(); ++i) into[i] = load_word(from + i);
      if (clock_->writing.load(std::memory_order_relaxed) <= number + 1) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] std::uint64_t* bank(std::uint64_t number) const { return words_ + (number % 2) * bank_words_; }

  BankClock* clock_;
  std::uint64_t* words_;
  std::size_t bank_words_;
};

/// Values of a narrower type packed into words, as they lie in memory.
template <class T>
void pack_words(std::span<const T> values, std::uint64_t* words) {
  constexpr std::size_t kPerWord = sizeof(std::uint64_t) / sizeof(T);
  for (std::size_t i = 0; i < values.size(); i += kPerWord) {
    std::uint64_t word = 0;
    std::memcpy(&word, values.data() + i, std::min(kPerWord, values.size() - i) * sizeof(T));
    store_word(words++, word);
  }
}

}  // namespace evenkeel::probe
