#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/calibrate/calibration.h"
#include "pipeline/calibrate/measurements.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"
#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

struct CalibrateArguments {
  std::filesystem::path measurements;
  std::optional<std::filesystem::path> output;
  bool json = false;
};

nlohmann::ordered_json json_of(const std::vector<CalibratedConstant>& constants) {
  nlohmann::ordered_json json{{"schema", "evenkeel.calibration/1"}, {"constants", nlohmann::ordered_json::array()}};
  for (const CalibratedConstant& constant : constants) {
    nlohmann::ordered_json row{{"section", constant.section}, {"key", constant.key}, {"value", constant.value},
                               {"rows", constant.rows},       {"r2", nullptr},       {"largest_error", nullptr}};
    if (constant.fit) {
      row["r2"] = constant.fit->r2;
      row["largest_error"] = constant.fit->largest_error_ratio;
    }
    json["constants"].push_back(std::move(row));
  }
  return json;
}

std::string table_of(const std::vector<CalibratedConstant>& constants) {
  Table table({"constant", "value", "rows", "R2", "largest error"});
  for (const CalibratedConstant& constant : constants) {
    table.add({constant.section + "." + constant.key, fmt::format("{:.6g}", constant.value),
               std::to_string(constant.rows), constant.fit ? fmt::format("{:.5f}", constant.fit->r2) : "-",
               constant.fit ? fmt::format("{:.2f} %", 100 * constant.fit->largest_error_ratio) : "-"});
  }
  return table.text();
}

void run(const CalibrateArguments& arguments) {
  const Measurements measurements = value_or_exit(read_measurements(arguments.measurements));
  const auto constants = constants_of(value_or_exit(calibrate(measurements, arguments.measurements.string())));
  const std::string yaml = calibration_yaml(constants);
  if (arguments.output) ok_or_exit(write_output(*arguments.output, yaml));
  if (arguments.output == "-") return;
  const std::string text = table_of(constants) + (arguments.output ? "" : "\n" + yaml);
  ok_or_exit(write_output("-", arguments.json ? json_text(json_of(constants)) : text));
}

}  // namespace

void add_calibrate_command(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("calibrate", "Fit the constants of the step-time model to measurements of a cluster");
  auto arguments = std::make_shared<CalibrateArguments>();
  command
      ->add_option("MEASUREMENTS", arguments->measurements,
                   "CSV file with the columns what, tokens, experts, bytes and seconds (docs/reference/step-time.md)")
      ->required();
  command->add_option("-o,--output", arguments->output,
                      "Where the sections of the cluster file go, instead of under the table; - is standard output");
  command->add_flag("--json", arguments->json, "Print the constants as JSON instead of a table");
  command->footer(
      "Examples:\n"
      "  evenkeel calibrate measured.csv\n"
      "  evenkeel calibrate measured.csv -o constants.yaml");
  command->callback([arguments] {
    if (arguments->json && arguments->output == "-") {
      refuse("both --json and -o - want standard output; write the sections to a file");
    }
    run(*arguments);
  });
}

}  // namespace evenkeel
