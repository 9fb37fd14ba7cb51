#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Fails with kInvalidInput for what is absent or no regular file: a folder, a pipe, a device.
[[nodiscard]] Status check_regular_file(const std::filesystem::path& path);

/// Fails with kInvalidInput, naming `path`, where a file that starts with `head` is compressed, a bare pickle, or text
/// that starts with a byte order mark.
[[nodiscard]] Status check_plain_text(const std::filesystem::path& path, std::string_view head);

/// Reads the next line without its end; false after the last. `where` names it in messages. Fails with kInvalidInput
/// for a line above 16 MiB.
[[nodiscard]] Result<bool> read_line(std::ifstream& in, const std::string& where, std::string& line);

/// What a message says of JSON that cannot be parsed: several documents, a number that JSON does not have, or where
/// else. `near` is the text around the fault at `byte`, as much as is at hand.
[[nodiscard]] std::string json_fault(const std::string& where, std::string_view near, std::size_t byte,
                                     const nlohmann::detail::exception& fault);
/// The same of a file, whose text around byte `byte` is looked at.
[[nodiscard]] std::string json_fault(const std::filesystem::path& path, std::size_t byte,
                                     const nlohmann::detail::exception& fault);

/// The word in a text that is NaN or an infinity, as Python writes them into JSON; empty where there is none.
[[nodiscard]] std::string_view not_a_number(std::string_view text);

/// What becomes of an object that sets a key twice.
enum class RepeatedKeys {
  kLastWins,
  /// Told from a callback for every value, which costs time.
  kRefused,
};

/// Parses a whole JSON file of at most 32 MiB. Fails with kInvalidInput, naming file and byte.
[[nodiscard]] Result<nlohmann::json> read_json(const std::filesystem::path& path,
                                               RepeatedKeys repeated = RepeatedKeys::kLastWins);

/// A value as messages show it: cut to 40 characters, lists and objects by their size.
[[nodiscard]] std::string brief(const nlohmann::json& value);

}  // namespace evenkeel
