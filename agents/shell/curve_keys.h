#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel::shell {

/// Characters of a CURVE key in Z85, ZeroMQ's text form of 32 bytes.
inline constexpr std::size_t kCurveKeyCharacters = 40;

/// A pair of CURVE keys in Z85.
struct CurveKeys {
  std::string public_key;
  std::string secret_key;
};

/// How a socket shows who it is and whom it trusts. Without keys of its own it says nothing (ZeroMQ's NULL mechanism).
struct Curve {
  CurveKeys own;
  /// What the other side must prove to be; a client's only.
  std::string server_key;

  [[nodiscard]] bool is_on() const { return !own.secret_key.empty(); }
};

/// New keys from the system's random numbers.
[[nodiscard]] CurveKeys generate_curve_keys();

/// 40 characters that are a key in Z85.
[[nodiscard]] bool is_curve_key(std::string_view text);
/// 32 bytes of a key as Z85.
[[nodiscard]] std::string curve_key_text(std::string_view bytes);

/// Reads NAME.secret, the public key being derived. Fails with kInvalidInput where others than the owner may read the
/// file, or it holds no key; `option` is the flag it came from. The key itself stands in no message.
[[nodiscard]] Result<CurveKeys> read_curve_secret(std::string_view option, const std::filesystem::path& path);

/// A public key: the 40 characters themselves, or a file that begins with them. Fails with kInvalidInput.
[[nodiscard]] Result<std::string> read_curve_public(std::string_view option, const std::string& key_or_path);

/// Writes FOLDER/NAME.secret, which only the owner may read, and FOLDER/NAME.pub, a line for the authorised keys. Makes
/// the folder. Fails with kFailure where one of them is there already: a key is never overwritten.
[[nodiscard]] Status write_curve_keys(const std::filesystem::path& folder, const std::string& name,
                                      const CurveKeys& keys);

}  // namespace evenkeel::shell
