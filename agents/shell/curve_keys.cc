#include "agents/shell/curve_keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "partition/foundation/check.h"

namespace evenkeel::shell {
namespace {

using KeyBuffer = std::array<char, kCurveKeyCharacters + 1>;
constexpr std::size_t kCurveKeyBytes = 32;

/// The first word of a file, or nothing.
std::string first_word(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line.substr(0, line.find_first_of(" \t\r"));
}

Status write_new_file(const std::filesystem::path& path, mode_t mode, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (file < 0) {
    return failure(fmt::format("{}: {}; give another folder or --name, keys are never overwritten", path.string(),
                               std::strerror(errno)));
  }
  const bool is_written =
      write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  const int error = errno;
  close(file);
  if (is_written) return {};
  return failure(fmt::format("{}: it cannot be written ({})", path.string(), std::strerror(error)));
}

/// For its owner alone, or for root's group beside: so the service manager hands credentials over, where the group's
/// bits are the mask of an access list with one user on it.
bool is_private(const struct stat& file) {
  const mode_t others = file.st_mode & (S_IRWXG | S_IRWXO);
  return others == 0 || (others == S_IRGRP && file.st_uid == 0 && file.st_gid == 0);
}

}  // namespace

CurveKeys generate_curve_keys() {
  KeyBuffer public_key{};
  KeyBuffer secret_key{};
  EVENKEEL_CHECK(zmq_curve_keypair(public_key.data(), secret_key.data()) == 0, "libzmq was built with CURVE");
  return {public_key.data(), secret_key.data()};
}

bool is_curve_key(std::string_view text) {
  std::array<std::uint8_t, kCurveKeyBytes> bytes{};
  return text.size() == kCurveKeyCharacters && zmq_z85_decode(bytes.data(), std::string(text).c_str()) != nullptr;
}

std::string curve_key_text(std::string_view bytes) {
  KeyBuffer text{};
  if (bytes.size() != kCurveKeyBytes) return {};
  zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return text.data();
}

Result<CurveKeys> read_curve_secret(std::string_view option, const std::filesystem::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    return invalid_input(fmt::format("{} {}: {}; make one with evenkeel-rebalancer keygen", option, path.string(),
                                     std::strerror(errno)));
  }
  if (!is_private(status)) {
    return invalid_input(fmt::format("{} {}: others than its owner may open it (mode {:04o}); chmod 600 it", option,
                                     path.string(), status.st_mode & 07777U));
  }
  CurveKeys keys{{}, first_word(path)};
  KeyBuffer public_key{};
  if (!is_curve_key(keys.secret_key) || zmq_curve_public(public_key.data(), keys.secret_key.c_str()) != 0) {
    return invalid_input(
        fmt::format("{} {}: it does not begin with a key of {} characters; give a .secret file of keygen", option,
                    path.string(), kCurveKeyCharacters));
  }
  keys.public_key = public_key.data();
  return keys;
}

Result<std::string> read_curve_public(std::string_view option, const std::string& key_or_path) {
  if (is_curve_key(key_or_path)) return key_or_path;
  const std::string key = first_word(key_or_path);
  if (is_curve_key(key)) return key;
  return invalid_input(
      fmt::format("{} is {}, neither a public key of {} characters nor a file that begins with one; give "
                  "the .pub file of keygen",
                  option, key_or_path, kCurveKeyCharacters));
}

Status write_curve_keys(const std::filesystem::path& folder, const std::string& name, const CurveKeys& keys) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return failure(fmt::format("{}: {}; give a folder that can be written", folder.string(), error.message()));
  }
  EVENKEEL_TRY_STATUS(write_new_file(folder / (name + ".secret"), 0600, keys.secret_key + "\n"));
  return write_new_file(folder / (name + ".pub"), 0644, keys.public_key + " " + name + "\n");
}

}  // namespace evenkeel::shell
