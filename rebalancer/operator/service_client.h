#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "agents/shell/curve_keys.h"
#include "partition/foundation/result.h"

namespace evenkeel {

/// Where a rebalancer is, and the keys to it.
struct ServiceArguments {
  /// Endpoint of its control socket, or its state folder.
  std::string endpoint;
  std::string curve_secret;
  std::string server_key;
  std::chrono::duration<double> timeout{5};

  void add_to(CLI::App& command);
  /// Asks the service to do something and gives its answer's status. Fails with kInvalidInput where it refuses,
  /// kFailure where it does not answer in time.
  [[nodiscard]] Result<nlohmann::ordered_json> ask(const std::string& request, const std::string& reason) const;
};

}  // namespace evenkeel
