#include "pipeline/trace/zip_archive.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel::zip_archive_test {
namespace {

using testing::TemporaryFolder;
using testing::write_zip;

Result<std::string> content(const std::filesystem::path& path, const std::string& name) {
  EVENKEEL_TRY(archive, ZipArchive::open(path, "write it again"));
  EVENKEEL_TRY(entry, archive.entry(name, path.string() + ": " + name));
  std::string text(entry.size(), '\0');
  EVENKEEL_TRY_STATUS(entry.read(std::as_writable_bytes(std::span(text))));
  return text;
}

TEST(ZipArchive, lists_and_reads_entries_in_pieces) {
  const TemporaryFolder folder;
  const auto path = write_zip(folder, "a.zip", {{"one", "first"}, {"two", "second"}});
  const auto archive = ZipArchive::open(path, "");
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->names(), (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(archive->has("two"));
  EXPECT_FALSE(archive->has("three"));
  auto entry = archive->entry("two", "");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->size(), 6U);
  ASSERT_TRUE(entry->skip(3));
  std::string rest(3, '\0');
  ASSERT_TRUE(entry->read(std::as_writable_bytes(std::span(rest))));
  EXPECT_EQ(rest, "ond");
  EXPECT_EQ(entry->position(), 6U);
  EXPECT_FALSE(entry->skip(1)) << "beyond the end";
}

TEST(ZipArchive, refuses_every_truncation) {
  const TemporaryFolder folder;
  const auto path = write_zip(folder, "a.zip", {{"one", "first"}, {"two", "second"}});
  const auto bytes = std::filesystem::file_size(path);
  for (auto length = bytes; length-- > 0;) {
    std::filesystem::resize_file(path, length);
    EXPECT_FALSE(content(path, "one")) << length;
  }
}

TEST(ZipArchive, refuses_an_entry_whose_checksum_does_not_fit) {
  const TemporaryFolder folder;
  const auto path = write_zip(folder, "a.zip", {{"one", "first"}}, ZIP_CM_STORE);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(30 + 3);  // Local header, name.
  file << 'F';
  file.close();
  const auto text = content(path, "one");
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message.find("CRC"), std::string::npos) << text.error().message;
}

TEST(ZipArchive, refuses_an_entry_that_swells_out_of_proportion) {
  const TemporaryFolder folder;
  const auto path = write_zip(folder, "a.zip",
                              {{"bomb", std::string((std::size_t{256} << 20) + 1, '\0')},
                               {"harmless", std::string(std::size_t{1} << 20, '\0')}});
  ASSERT_LT(std::filesystem::file_size(path), std::size_t{2} << 20);
  EXPECT_TRUE(content(path, "harmless"));
  const auto text = content(path, "bomb");
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message.find("more than 200 times"), std::string::npos) << text.error().message;
}

}  // namespace
}  // namespace evenkeel::zip_archive_test
