#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Fails with kInvalidInput unless `object` is an object with no key but `keys`; the message names the nearest.
/// `where` names file and field in messages.
[[nodiscard]] Status check_known_keys(const nlohmann::json& object, const std::string& where,
                                      std::span<const std::string> keys);

/// As above, and every one of `keys` is there.
[[nodiscard]] Status check_exact_keys(const nlohmann::json& object, const std::string& where,
                                      std::span<const std::string> keys);

/// The whole number of a key, from `least` to a million, which keeps sums from overflowing. Fails with kInvalidInput.
[[nodiscard]] Result<std::size_t> whole_number_of(const nlohmann::json& object, const std::string& where,
                                                  const char* key, std::size_t least);

}  // namespace evenkeel
