#include "pipeline/cli/manual_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>

namespace evenkeel {
namespace {

/// Text that roff takes as it is.
std::string plain(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else if ((c == '.' || c == '\'') && (result.empty() || result.back() == '\n')) {
      result += fmt::format("\\&{}", c);
    } else {
      result += c;
    }
  }
  return result;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string option_entry(const CLI::Option& option) {
  std::string entry =
      fmt::format(".TP\n.B {}", plain(option.get_positional() ? option.get_name(true) : option.get_name(false, true)));
  entry += fmt::format("\n{}\n", plain(option.get_description()));
  if (!option.get_default_str().empty()) entry += fmt::format("Default: {}.\n", plain(option.get_default_str()));
  if (!option.get_envname().empty()) entry += fmt::format("Environment: {}.\n", plain(option.get_envname()));
  return entry;
}

/// Lines of a footer below its "Examples:", shown as they are.
std::string examples(const std::string& footer) {
  std::istringstream in(footer);
  std::string text;
  for (std::string line; std::getline(in, line);) {
    if (line != "Examples:") text += plain(line) + "\n";
  }
  return text;
}

std::string command_body(const CLI::App& command) {
  std::string body = fmt::format(".SH SYNOPSIS\n.B evenkeel {}", plain(command.get_name()));
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) body += fmt::format("\n.I {}", plain(option->get_name(true)));
  }
  body += fmt::format("\n[\\fIoptions\\fR]\n.SH DESCRIPTION\n{}.\n.SH OPTIONS\n", plain(command.get_description()));
  for (const CLI::Option* option : command.get_options()) body += option_entry(*option);
  if (!command.get_footer().empty()) body += ".SH EXAMPLES\n.nf\n" + examples(command.get_footer()) + ".fi\n";
  return body;
}

std::string program_body(const CLI::App& program) {
  std::string body = ".SH SYNOPSIS\n.B evenkeel\n.I command\n[\\fIoptions\\fR]\n.SH DESCRIPTION\n" +
                     plain(program.get_description()) + "\n.SH COMMANDS\n";
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    body += fmt::format(".TP\n.B {}\n{}.\n", plain(command->get_name()), plain(command->get_description()));
  }
  return body;
}

constexpr std::string_view kExitStatus =
    ".SH EXIT STATUS\n"
    ".TP\n0\nDone.\n"
    ".TP\n1\nThe environment failed: a file cannot be written, memory ran out.\n"
    ".TP\n2\nUsage, or input that cannot be read as what it claims to be.\n"
    ".TP\n3\nValid input for which no placement exists.\n"
    ".TP\n4\nNo strategy asked for finished in its time.\n"
    ".TP\n130\nInterrupted.\n";

}  // namespace

std::string manual_page(const CLI::App& program, const CLI::App* command) {
  const std::string name = command == nullptr ? "evenkeel" : "evenkeel-" + command->get_name();
  const std::string& description = command == nullptr ? program.get_description() : command->get_description();
  return fmt::format(".TH {} 1 \"\" \"evenkeel {}\"\n.SH NAME\n{} \\- {}\n", upper(plain(name)), EVENKEEL_VERSION,
                     plain(name), plain(description)) +
         (command == nullptr ? program_body(program) : command_body(*command)) + std::string(kExitStatus);
}

}  // namespace evenkeel
