#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel {

/// A file being written beside its place, which it takes on commit(), so that a reader never sees half of it. Without a
/// commit, or when the process ends by exit_and_remove_outputs(), nothing is left. Of a symbolic link the target is
/// written. Not thread-safe; several may be open at once.
class OutputFile {
 public:
  /// Fails with kFailure where `path` cannot be written, or is a pipe or device.
  [[nodiscard]] static Result<OutputFile> create(const std::filesystem::path& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Writes at `offset`. Fails with kFailure, as do the others.
  [[nodiscard]] Status write_at(std::size_t offset, std::span<const std::byte> data);
  [[nodiscard]] Status commit();

 private:
  OutputFile(std::filesystem::path path, std::string target, std::string temporary, int file);
  void discard();

  /// As the user named it, for messages.
  std::filesystem::path path_;
  std::string target_;
  std::string temporary_;
  int file_;
};

/// Writes a whole file, as OutputFile; "-" is standard output, and pipes and devices are written in place. Thread-safe.
/// Fails with kFailure, leaving what was there.
[[nodiscard]] Status write_output(const std::filesystem::path& path, std::string_view content);

/// Makes a folder, with its parents, where it is not there yet. Fails with kFailure.
[[nodiscard]] Status make_folder(const std::filesystem::path& folder);

/// Ends the process at once, removing every output that is half-written. For a thread that waits for signals.
[[noreturn]] void exit_and_remove_outputs(int code);

}  // namespace evenkeel
