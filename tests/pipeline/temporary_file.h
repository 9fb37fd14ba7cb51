#pragma once

#include <unistd.h>
#include <zip.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace evenkeel::testing {

/// A folder that goes away with its object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "evenkeel-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  operator const std::filesystem::path&() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// A .npy file: header as NumPy writes it, then the bytes.
inline std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                       bool fortran = false) {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xFF);
  text += static_cast<char>(header.size() >> 8);
  return text + header + data;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// An archive with the given entries.
inline std::filesystem::path write_zip(const std::filesystem::path& folder, const std::string& name,
                                       const std::map<std::string, std::string>& entries,
                                       zip_int32_t compression = ZIP_CM_DEFLATE) {
  const auto path = folder / name;
  constexpr zip_uint32_t kFastest = 1;
  int code = 0;
  zip_t* const archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  for (const auto& [entry, content] : entries) {
    const zip_int64_t index = zip_file_add(
        archive, entry.c_str(), zip_source_buffer(archive, content.data(), content.size(), 0), ZIP_FL_OVERWRITE);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), compression, kFastest);
  }
  zip_close(archive);
  return path;
}

/// A deflated archive with the given arrays.
inline std::filesystem::path write_npz(const std::filesystem::path& folder, const std::string& name,
                                       const std::map<std::string, std::string>& arrays) {
  std::map<std::string, std::string> entries;
  for (const auto& [array, content] : arrays) entries[array + ".npy"] = content;
  return write_zip(folder, name, entries);
}

}  // namespace evenkeel::testing
