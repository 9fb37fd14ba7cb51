#pragma once

#include <filesystem>
#include <string>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Standard input as a file that can be read in any order. It has no name, so nothing of it is left however the process
/// ends.
class StandardInput {
 public:
  /// Copies all of standard input. Fails with kFailure where the temporary folder (TMPDIR) cannot hold it.
  [[nodiscard]] static Result<StandardInput> copy();
  StandardInput(StandardInput&& other) noexcept;
  StandardInput& operator=(StandardInput&&) = delete;
  ~StandardInput();

  /// Good while the object lives.
  [[nodiscard]] std::filesystem::path path() const;
  /// A message about path(), as one about standard input.
  [[nodiscard]] std::string renamed(std::string message) const;

 private:
  explicit StandardInput(int file) : file_(file) {}
  int file_;
};

}  // namespace evenkeel
