#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agents/shell/curve_keys.h"
#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

/// Who may connect and as what: public keys with the user behind each. A line is
/// `KEY USER [worker=PATTERN ...] [operator]`. Without options the user speaks for the worker of its own name; a
/// pattern is a worker's name, or its beginning with a `*`. An operator may give commands (freeze, trigger, ...), and
/// speaks for a worker only where one is named. Empty lines and those that begin with "# " say nothing. Several keys
/// may be one user's, which is how keys are changed.
class AuthorisedKeys {
 public:
  /// A file, or a folder whose *.pub files are read in the order of their names. Fails with kInvalidInput, naming file
  /// and line.
  [[nodiscard]] static Result<AuthorisedKeys> read(const std::filesystem::path& path);
  /// As read(), of a text at hand that messages call `name`.
  [[nodiscard]] static Result<AuthorisedKeys> parse(const std::string& name, const std::string& text);

  /// The user of a key, or null.
  [[nodiscard]] const std::string* user_of(const std::string& public_key) const;
  [[nodiscard]] bool may_speak_for(const std::string& user, std::string_view worker) const;
  [[nodiscard]] bool may_operate(const std::string& user) const;
  [[nodiscard]] std::size_t keys() const { return user_of_.size(); }

 private:
  struct Rights {
    std::vector<std::string> workers;
    bool operates = false;
  };

  [[nodiscard]] Status add_file(const std::filesystem::path& path);
  [[nodiscard]] Status add_text(const std::string& name, const std::string& text);
  [[nodiscard]] Status add_line(const std::string& place, const std::string& line);

  std::map<std::string, std::string> user_of_;
  std::map<std::string, Rights> rights_of_;
};

/// Who may connect.
struct Keys {
  /// Off without --curve-secret.
  shell::Curve curve;
  AuthorisedKeys authorised;
};

}  // namespace evenkeel::rebalancer
