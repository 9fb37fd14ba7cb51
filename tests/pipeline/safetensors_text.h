#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel::testing {

/// A safetensors file of a ready-made header and data.
inline std::string safetensors(const std::string& header, const std::string& data) {
  return bytes_of<std::uint64_t>({header.size()}) + header + data;
}

/// A safetensors file of int64 tensors in one dimension.
inline std::string safetensors(const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& tensors) {
  std::string header = "{\"__metadata__\": {\"format\": \"pt\"}";
  std::string data;
  for (const auto& [name, values] : tensors) {
    header += ", \"" + name + "\": {\"dtype\": \"I64\", \"shape\": [" + std::to_string(values.size()) +
              "], \"data_offsets\": [" + std::to_string(data.size()) + ", ";
    data += bytes_of(values);
    header += std::to_string(data.size()) + "]}";
  }
  return safetensors(header + "}  ", data);
}

}  // namespace evenkeel::testing
