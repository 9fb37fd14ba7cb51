#include <fmt/format.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <new>
#include <optional>
#include <thread>

#include "pipeline/cli/arguments.h"
#include "pipeline/cli/commands.h"
#include "pipeline/config/nearest.h"
#include "pipeline/report/output_file.h"

namespace {

constexpr int kExitInterrupted = 130;

/// METIS takes over SIGTERM while it runs and would swallow it, so signals are blocked everywhere and one thread waits
/// for them.
void exit_on_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    evenkeel::exit_between_outputs(kExitInterrupted);
  }).detach();
}

/// Every word a command takes that starts with two dashes.
std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

/// The first word of the command line that `accepted` does not hold and `is_candidate` takes, with the nearest that it
/// does.
template <class Filter>
std::optional<std::string> unknown_word(int argc, char** argv, const std::vector<std::string>& accepted,
                                        Filter is_candidate) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::string word = argument.substr(0, argument.find('='));
    if (!is_candidate(word) || std::ranges::find(accepted, word) != accepted.end()) continue;
    return fmt::format("'{}' is unknown{}", word, evenkeel::did_you_mean(word, accepted));
  }
  return std::nullopt;
}

/// What was wrong with the command line, in one line.
std::string usage_message(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const auto chosen = program.get_subcommands();
  std::optional<std::string> message;
  if (chosen.empty()) {
    std::vector<std::string> commands;
    for (const CLI::App* command : program.get_subcommands({})) commands.push_back(command->get_name());
    message = unknown_word(argc, argv, commands, [](const std::string& word) { return !word.starts_with('-'); });
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    message = unknown_word(argc, argv, flags_of(*chosen.front()),
                           [](const std::string& word) { return word.starts_with("--"); });
  }
  return fmt::format("{}; see 'evenkeel{} --help'", message.value_or(error.what()),
                     chosen.empty() ? "" : " " + chosen.front()->get_name());
}

void print_error(std::string message) {
  // What the user gave may hold anything; a message stays one line and leaves the terminal alone.
  std::ranges::replace_if(
      message, [](unsigned char c) { return c < ' ' || c == 0x7F; }, ' ');
  fmt::print(stderr, "evenkeel: {}\n", message);
}

int run(int argc, char** argv) {
  CLI::App program("Places Mixture-of-Experts experts on GPUs: even load, little traffic, few moves.", "evenkeel");
  program.set_version_flag("--version", EVENKEEL_VERSION);
  program.require_subcommand(1);
  program.failure_message(CLI::FailureMessage::simple);
  evenkeel::add_partition_command(program);
  evenkeel::add_compare_command(program);
  evenkeel::add_evaluate_command(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    print_error(usage_message(program, error, argc, argv));
    return evenkeel::exit_code(evenkeel::ErrorCode::kInvalidInput);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  exit_on_signals();
  try {
    return run(argc, argv);
  } catch (const evenkeel::CommandError& failed) {
    print_error(failed.error.message);
    return evenkeel::exit_code(failed.error.code);
  } catch (const std::bad_alloc&) {
    print_error("the machine ran out of memory; give a smaller trace or more memory");
  } catch (const std::exception& error) {
    print_error(error.what());
  }
  return evenkeel::exit_code(evenkeel::ErrorCode::kFailure);
}
