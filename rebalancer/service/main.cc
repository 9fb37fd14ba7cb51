// evenkeel-rebalancer: takes in counts, plans placements and migrates agents to them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string_view>
#include <utility>

#include "agents/shell/stop_signals.h"
#include "pipeline/flags/field_flags.h"
#include "pipeline/flags/setting.h"
#include "rebalancer/service/service.h"
#include "rebalancer/service/settings.h"
#include "rebalancer/service/state_commands.h"
#include "rebalancer/solver/solver_process.h"

namespace evenkeel::rebalancer {
namespace {

int fail(const CLI::App& app, const Error& error) {
  fmt::print(stderr, "evenkeel-rebalancer: {}\n", one_line(with_flags(app, error.message, error.fields)));
  return exit_code(error.code);
}

/// The command line with everything that can be said on it.
struct Program {
  CLI::App app{"Plans expert placements from live counts and migrates agents to them.", "evenkeel-rebalancer"};
  Settings settings;
  std::function<Status()> chosen;

  Program() {
    app.set_version_flag("--version", EVENKEEL_VERSION);
    add_settings(app, settings);
    add_state_commands(app, chosen);
    app.footer(
        "Examples:\n"
        "  evenkeel-rebalancer --state /var/lib/evenkeel --gpus 8 --agents 8\n"
        "  evenkeel-rebalancer --config configs/rebalancer.yaml");
  }
};

Result<Settings> read_settings(int argc, char** argv) {
  Program program;
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return invalid_input(error.what());
  }
  EVENKEEL_TRY_STATUS(complete_settings(program.app, program.settings));
  return program.settings;
}

Result<int> serve(Program& program, shell::StopSignals& signals, int argc, char** argv) {
  EVENKEEL_TRY_STATUS(complete_settings(program.app, program.settings));
  EVENKEEL_TRY(service,
               Service::start(std::move(program.settings), [argc, argv] { return read_settings(argc, argv); }));
  return service->run(signals);
}

int run_program(int argc, char** argv) {
  shell::StopSignals signals;
  Program program;
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.app.exit(error);
    return fail(program.app, {ErrorCode::kInvalidInput, usage_message(program.app, error, argc, argv)});
  }
  if (program.chosen) {
    const Status done = program.chosen();
    return done ? 0 : fail(program.app, done.error());
  }
  const auto code = serve(program, signals, argc, argv);
  return code ? *code : fail(program.app, code.error());
}

}  // namespace
}  // namespace evenkeel::rebalancer

int main(int argc, char** argv) {
  using namespace evenkeel::rebalancer;
  if (argc == 4 && std::string_view(argv[1]) == kSolveArgument) return run_solver_child(argv[2], argv[3]);
  return run_program(argc, argv);
}
