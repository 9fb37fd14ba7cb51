#include "pipeline/cli/shell_completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace evenkeel {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App*) { return true; });
}

/// Options with a name, such as "--gpus".
std::vector<const CLI::Option*> named_options(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return !option->get_lnames().empty(); });
}

/// The values an option is one of, which CLI11 shows as "TEXT:{a,b}"; empty where any will do.
std::vector<std::string> values_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : named_options(command)) flags.push_back("--" + option->get_lnames().front());
  return flags;
}

std::string quoted(std::string text, std::string_view escaped) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (escaped.find(text[i]) != std::string_view::npos) text.insert(i++, 1, '\\');
  }
  return text;
}

}  // namespace

std::string bash_completion(const CLI::App& program) {
  std::vector<std::string> names;
  std::string cases;
  for (const CLI::App* command : commands_of(program)) {
    names.push_back(command->get_name());
    cases += fmt::format("    {}) words='{}' ;;\n", command->get_name(), fmt::join(flags_of(*command), " "));
    for (const CLI::Option* option : named_options(*command)) {
      const auto values = values_of(*option);
      if (values.empty()) continue;
      cases += fmt::format("    '{} --{}') words='{}' ;;\n", command->get_name(), option->get_lnames().front(),
                           fmt::join(values, " "));
    }
  }
  return fmt::format(
      "# bash completion of evenkeel: evenkeel completion bash > ~/.local/share/bash-completion/completions/evenkeel\n"
      "_evenkeel() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} key words=''\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- \"$current\")\n"
      "    return\n"
      "  fi\n"
      "  case $current in -*) key=${{COMP_WORDS[1]}} ;; *) key=\"${{COMP_WORDS[1]}} $previous\" ;; esac\n"
      "  case $key in\n{}  esac\n"
      "  if [ -n \"$words\" ]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "  else\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
      "  fi\n"
      "}}\n"
      "complete -o filenames -F _evenkeel evenkeel\n",
      fmt::join(names, " "), cases);
}

std::string zsh_completion(const CLI::App& program) {
  constexpr std::string_view kSpecial = "'[]:\\";
  std::string names;
  std::string cases;
  for (const CLI::App* command : commands_of(program)) {
    names += fmt::format("    '{}:{}'\n", command->get_name(), quoted(command->get_description(), ":\\"));
    cases += fmt::format("    {}) _arguments", command->get_name());
    for (const CLI::Option* option : named_options(*command)) {
      const auto values = values_of(*option);
      std::string description = option->get_description();
      std::erase(description, '\'');
      cases += fmt::format(" \\\n      '--{}[{}]{}'", option->get_lnames().front(), quoted(description, kSpecial),
                           option->get_expected_max() == 0 ? ""
                           : values.empty()                ? ":value:_files"
                                                           : fmt::format(":value:({})", fmt::join(values, " ")));
    }
    cases += " \\\n      '*:file:_files' ;;\n";
  }
  std::erase(names, '\n');
  return fmt::format(
      "#compdef evenkeel\n"
      "# zsh completion of evenkeel: evenkeel completion zsh > a folder of $fpath/_evenkeel\n"
      "local -a commands\n"
      "commands=({})\n"
      "if (( CURRENT == 2 )); then\n"
      "  _describe command commands\n"
      "else\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $command in\n{}  esac\n"
      "fi\n",
      names, cases);
}

std::string fish_completion(const CLI::App& program) {
  std::string script =
      "# fish completion of evenkeel: evenkeel completion fish > ~/.config/fish/completions/evenkeel.fish\n";
  for (const CLI::App* command : commands_of(program)) {
    script += fmt::format("complete -c evenkeel -f -n __fish_use_subcommand -a {} -d '{}'\n", command->get_name(),
                          quoted(command->get_description(), "'\\"));
    for (const CLI::Option* option : named_options(*command)) {
      const auto values = values_of(*option);
      script +=
          fmt::format("complete -c evenkeel -n '__fish_seen_subcommand_from {}' -l {} -d '{}'", command->get_name(),
                      option->get_lnames().front(), quoted(option->get_description(), "'\\"));
      if (option->get_expected_max() > 0) script += " -r";
      if (!values.empty()) script += fmt::format(" -f -a '{}'", fmt::join(values, " "));
      script += '\n';
    }
  }
  return script;
}

}  // namespace evenkeel
