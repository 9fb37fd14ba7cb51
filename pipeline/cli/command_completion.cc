#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/manual_page.h"
#include "pipeline/cli/shell_completion.h"
#include "pipeline/flags/nearest.h"
#include "pipeline/report/output_file.h"

namespace evenkeel {
namespace {

/// The command of that name, or null for none.
const CLI::App* find_command(const CLI::App& program, const std::string& name) {
  if (name.empty()) return nullptr;
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return command;
    names.push_back(command->get_name());
  }
  refuse(fmt::format("command '{}' is unknown{}; see 'evenkeel --help'", name, did_you_mean(name, names)));
}

}  // namespace

void add_completion_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand("completion", "Print a script that completes commands in a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "Examples:\n"
      "  source <(evenkeel completion bash)\n"
      "  evenkeel completion fish > ~/.config/fish/completions/evenkeel.fish");
  command->callback([shell, &program] {
    ok_or_exit(write_output("-", *shell == "bash"  ? bash_completion(program)
                                 : *shell == "zsh" ? zsh_completion(program)
                                                   : fish_completion(program)));
  });
}

void add_man_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand("man", "Print a manual page");
  auto name = std::make_shared<std::string>();
  command->add_option("COMMAND", *name, "The command; without it, the page of the program");
  command->footer(
      "Examples:\n"
      "  evenkeel man | man -l -\n"
      "  evenkeel man partition > /usr/local/share/man/man1/evenkeel-partition.1");
  command->callback(
      [name, &program] { ok_or_exit(write_output("-", manual_page(program, find_command(program, *name)))); });
}

}  // namespace evenkeel
