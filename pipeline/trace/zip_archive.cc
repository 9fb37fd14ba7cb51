#include "pipeline/trace/zip_archive.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <array>

namespace evenkeel {
namespace {

/// Real recordings compress 20 to 50 times; deflate reaches 1,032 at most, on constant bytes.
constexpr std::uint64_t kRatioMax = 200;
/// Below this an entry may compress as it likes: reading it costs little.
constexpr std::uint64_t kHarmlessBytes = std::uint64_t{256} << 20;

}  // namespace

struct ZipEntry::File {
  zip_file_t* handle;
};

void ZipEntry::FileDeleter::operator()(File* file) const {
  zip_fclose(file->handle);
  delete file;
}

ZipEntry::ZipEntry(std::unique_ptr<File, FileDeleter> file, std::uint64_t size, std::string label)
    : file_(std::move(file)), size_(size), label_(std::move(label)) {}

Status ZipEntry::read(std::span<std::byte> out) {
  std::size_t done = 0;
  zip_int64_t got = 0;
  while (done < out.size()) {
    got = zip_fread(file_->handle, out.data() + done, out.size() - done);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  position_ += done;
  bool is_longer = false;
  if (done == out.size() && position_ == size_) {
    // libzip compares checksums when it is asked for more than there is.
    std::byte beyond{};
    got = zip_fread(file_->handle, &beyond, 1);
    is_longer = got > 0;
  }
  if (got >= 0 && done == out.size() && !is_longer) return {};
  const char* const why = got < 0 ? zip_file_strerror(file_->handle) : is_longer ? "longer than declared" : "cut short";
  return invalid_input(
      fmt::format("{}: the data ends early or is damaged ({}); copy or write the file again", label_, why));
}

Status ZipEntry::skip(std::uint64_t bytes) {
  std::array<std::byte, std::size_t{16} << 10> scratch;
  while (bytes > 0) {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, scratch.size()));
    EVENKEEL_TRY_STATUS(read(std::span(scratch).first(count)));
    bytes -= count;
  }
  return {};
}

struct ZipArchive::Zip {
  zip_t* handle;
};

void ZipArchive::ZipDeleter::operator()(Zip* zip) const {
  zip_discard(zip->handle);
  delete zip;
}

ZipArchive::ZipArchive(std::unique_ptr<Zip, ZipDeleter> zip, std::uint64_t file_bytes)
    : zip_(std::move(zip)), file_bytes_(file_bytes) {}

Result<ZipArchive> ZipArchive::open(const std::filesystem::path& path, std::string_view remedy) {
  int code = 0;
  zip_t* const handle = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (handle == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    std::string message = fmt::format("{}: it cannot be opened as a zip archive ({}); {}", path.string(),
                                      zip_error_strerror(&error), remedy);
    zip_error_fini(&error);
    return invalid_input(std::move(message));
  }
  std::unique_ptr<Zip, ZipDeleter> zip(new Zip{handle});
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return invalid_input(fmt::format("{}: its size cannot be read ({})", path.string(), error.message()));
  return ZipArchive(std::move(zip), bytes);
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(zip_->handle, 0));
  for (zip_uint64_t i = 0; i < count; ++i) {
    if (const char* const name = zip_get_name(zip_->handle, i, 0)) names.emplace_back(name);
  }
  return names;
}

bool ZipArchive::has(const std::string& entry) const { return zip_name_locate(zip_->handle, entry.c_str(), 0) >= 0; }

Result<ZipEntry> ZipArchive::entry(const std::string& name, std::string label) const {
  zip_stat_t stat;
  zip_file_t* const file =
      zip_stat(zip_->handle, name.c_str(), 0, &stat) == 0 ? zip_fopen(zip_->handle, name.c_str(), 0) : nullptr;
  if (file == nullptr) {
    return invalid_input(
        fmt::format("{} cannot be opened ({}); write the file again", label, zip_strerror(zip_->handle)));
  }
  ZipEntry entry({new ZipEntry::File{file}, {}}, stat.size, std::move(label));
  if (stat.comp_size > file_bytes_) {
    return invalid_input(fmt::format("{}: it claims {} bytes of an archive that has {}; copy or write the file again",
                                     entry.label_, stat.comp_size, file_bytes_));
  }
  if (stat.size > kHarmlessBytes && stat.size / kRatioMax > stat.comp_size) {
    return invalid_input(fmt::format(
        "{}: {} bytes claim to hold {}, more than {} times as much; write it again uncompressed (numpy.savez)",
        entry.label_, stat.comp_size, stat.size, kRatioMax));
  }
  return entry;
}

}  // namespace evenkeel
