#include "pipeline/calibrate/measurements.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>
#include <utility>

// Its thread that reads ahead is of no use for a file of a few lines.
#define CSV_IO_NO_THREAD
#include <libfccp/csv.h>

#include "pipeline/config/strict_yaml.h"

namespace evenkeel {
namespace {

using Reader = io::CSVReader<5, io::trim_chars<' ', '\t'>, io::no_quote_escape<','>, io::throw_on_overflow,
                             io::single_line_comment<'#'>>;

/// A line of the file; a column that it lacks is empty.
struct Row {
  std::string what, tokens, experts, bytes, seconds;
};

/// Turns rows into measurements, with the place that messages name.
class RowReader {
 public:
  RowReader(std::string file, Measurements& measurements) : file_(std::move(file)), measurements_(measurements) {}

  Status take(const Row& row, unsigned line) {
    line_ = line;
    EVENKEEL_TRY(seconds, number("seconds", row.seconds));
    if (seconds == 0) return wrong("seconds", row.seconds, "a number above 0");
    if (row.what == "compute") return take_compute(row, seconds);
    if (row.what == "intra_node") return take_transfer(row, seconds, measurements_.intra_node);
    if (row.what == "inter_node") return take_transfer(row, seconds, measurements_.inter_node);
    if (row.what != "other") return wrong("what", row.what, "compute, intra_node, inter_node or other");
    EVENKEEL_TRY_STATUS(check_empty("tokens", row.tokens));
    EVENKEEL_TRY_STATUS(check_empty("experts", row.experts));
    EVENKEEL_TRY_STATUS(check_empty("bytes", row.bytes));
    measurements_.other_seconds.push_back(seconds);
    return {};
  }

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(const char* column, const std::string& value, const char* wanted) const {
    return invalid_input(fmt::format("{}: line {}: {} is '{}'; give {}", file_, line_, column, value, wanted));
  }

  [[nodiscard]] Result<double> number(const char* column, const std::string& text) const {
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = code == std::errc() && end == text.data() + text.size() && std::isfinite(value);
    if (!is_number || value < 0) return wrong(column, text, "a number, 0 or above");
    return value;
  }

  [[nodiscard]] Status check_empty(const char* column, const std::string& text) const {
    if (text.empty()) return {};
    return wrong(column, text, "nothing there, since such rows have none");
  }

  Status take_compute(const Row& row, double seconds) {
    EVENKEEL_TRY(tokens, number("tokens", row.tokens));
    EVENKEEL_TRY(experts, number("experts", row.experts));
    EVENKEEL_TRY_STATUS(check_empty("bytes", row.bytes));
    measurements_.compute.push_back({tokens, experts, seconds});
    return {};
  }

  Status take_transfer(const Row& row, double seconds, std::vector<TransferMeasurement>& transfers) const {
    EVENKEEL_TRY(bytes, number("bytes", row.bytes));
    EVENKEEL_TRY_STATUS(check_empty("tokens", row.tokens));
    EVENKEEL_TRY_STATUS(check_empty("experts", row.experts));
    transfers.push_back({bytes, seconds});
    return {};
  }

  std::string file_;
  unsigned line_ = 0;
  Measurements& measurements_;
};

Status read_rows(const std::string& file, const std::string& text, Measurements& measurements) {
  Reader reader(file, text.data(), text.data() + text.size());
  reader.read_header(io::ignore_missing_column, "what", "tokens", "experts", "bytes", "seconds");
  for (const char* const column : {"what", "seconds"}) {
    if (reader.has_column(column)) continue;
    return invalid_input(
        fmt::format("{}: column '{}' is missing; give the header what,tokens,experts,bytes,seconds", file, column));
  }
  RowReader rows(file, measurements);
  for (Row row; reader.read_row(row.what, row.tokens, row.experts, row.bytes, row.seconds); row = {})
    EVENKEEL_TRY_STATUS(rows.take(row, reader.get_file_line()));
  return {};
}

}  // namespace

Result<Measurements> read_measurements(const std::filesystem::path& path) {
  EVENKEEL_TRY(text, read_settings_text(path));
  const std::string file = path.string();
  Measurements measurements;
  // The library's exceptions are its only way out.
  try {
    EVENKEEL_TRY_STATUS(read_rows(file, text, measurements));
  } catch (const io::error::too_few_columns& error) {
    return invalid_input(
        fmt::format("{}: line {} has fewer columns than the header; give as many commas", file, error.file_line));
  } catch (const io::error::too_many_columns& error) {
    return invalid_input(
        fmt::format("{}: line {} has more columns than the header; give as many commas", file, error.file_line));
  } catch (const io::error::with_column_name& error) {
    return invalid_input(
        fmt::format("{}: column '{}' of the header is unknown or there twice; give what,tokens,experts,bytes,seconds",
                    file, error.column_name));
  } catch (const io::error::base&) {
    return invalid_input(
        fmt::format("{}: it has no header, or a line that never ends; give what,tokens,experts,bytes,seconds", file));
  }
  return measurements;
}

}  // namespace evenkeel
