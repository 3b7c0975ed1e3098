#include "cli/attune_main.h"

#include <algorithm>
#include <csignal>
#include <exception>
#include <filesystem>
#include <system_error>
#include <vector>

#include "cli/interrupt.h"
#include "cli/nearest.h"
#include "cli/standard_streams.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kFooter = R"(From a model to an adapted one:
  attune compile mobilenet.onnx -o flowers.att --classes 5 --labels photos/train
      --preprocess imagenet
  attune train flowers.att --data photos/train --epochs 5
  attune evaluate flowers.att --checkpoint flowers.atc --data photos/test
  attune predict flowers.att --checkpoint flowers.atc rose.jpg
  attune export flowers.att --model mobilenet.onnx --checkpoint flowers.atc -o adapted.onnx

`attune VERB --help` explains a verb. Results go to standard output, everything else to standard
error. Status: 0 done, 1 verify found a difference, 2 bad input or output that cannot be written,
130 interrupted.)";

// Lists in a message come as lines of their own; an error is one line.
std::string one_line(const std::string& message) {
  std::string line;
  for (size_t i = 0; i < message.size(); ++i) {
    if (message[i] != '\n') {
      line += message[i];
      continue;
    }
    if (!line.empty() && line.back() != ':' && line.back() != ';') line += ';';
    line += ' ';
    while (i + 1 < message.size() && (message[i + 1] == ' ' || message[i + 1] == '\n')) ++i;
  }
  // What a model or a file names may be of any length.
  constexpr size_t kMostBytes = 6000;
  if (line.size() > kMostBytes) line = line.substr(0, kMostBytes) + " ...";
  return line;
}

int fail(const std::string& message) {
  print_note(one_line(message));
  return kBadInput;
}

// What is wrong with a command line. CLI11 lists stray arguments in no useful order and does not
// name a verb that it does not know.
std::string complaint(const CLI::ParseError& error, const CLI::App& app, const CLI::App* verb) {
  const std::vector<std::string> stray = verb ? verb->remaining() : app.remaining();
  const auto option =
      std::ranges::find_if(stray, [](const std::string& s) { return s.starts_with('-'); });
  const bool no_verb = !verb && !stray.empty() && !stray.front().starts_with('-');
  if (no_verb) {
    std::vector<std::string> verbs;
    for (const CLI::App* one : app.get_subcommands({})) verbs.push_back(one->get_name());
    return fmt::format("unknown verb {}{}", stray.front(), or_rather(stray.front(), verbs));
  }
  if (option != stray.end()) {
    const std::string name = option->substr(0, option->find('='));
    return fmt::format("unknown option {}{}", name,
                       or_rather(name, long_options(verb ? *verb : app)));
  }
  if (!stray.empty()) return fmt::format("unexpected argument {}", stray.front());
  return error.what();
}

int run(int argc, char** argv) {
  CLI::App app("Attune fine-tunes neural networks on the device that runs them.", "attune");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", "attune 0.1.0");
  const std::vector<Verb> verbs = {
      add_adapt(app),       add_compile(app), add_inspect(app), add_train(app),  add_estimate(app),
      add_evaluate(app),    add_predict(app), add_export(app),  add_verify(app), add_bench(app),
      add_sensitivity(app), add_search(app),  add_profile(app), add_sign(app)};
  // A variable of the shell that is not set, most likely.
  const CLI::Validator has_text(
      [](const std::string& value) {
        return value.empty() ? std::string("is empty; give a value, or leave the option out")
                             : std::string();
      },
      "");
  for (const Verb& verb : verbs)
    for (CLI::Option* option : verb.app->get_options())
      if (option->get_type_size() > 0) option->check(has_text);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    const CLI::App* verb = nullptr;
    for (const Verb& v : verbs)
      if (v.app->parsed()) verb = v.app;
    return fail(fmt::format("{}; see attune {}--help", complaint(error, app, verb),
                            verb ? verb->get_name() + " " : ""));
  }
  int status = 0;
  for (const Verb& verb : verbs)
    if (verb.app->parsed()) status = verb.run();
  return status;
}

int run_or_fail(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    return fail("out of memory");
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(error.what());
  } catch (const std::system_error& error) {  // printing; files that we open have errors of ours
    return fail("standard output cannot be written: " + error.code().message());
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

}  // namespace
}  // namespace attune::cli

namespace attune {

int attune_main(int argc, char** argv) {
  cli::open_standard_streams();
  cli::clean_up_on_signals();
  // A file that grows beyond the shell's limit is an error of writing, which cleans up behind it.
  std::signal(SIGXFSZ, SIG_IGN);
  const int status = cli::run_or_fail(argc, argv);
  const std::string error = cli::output_error();
  return status == cli::kBadInput || error.empty() ? status : cli::fail(error);
}

}  // namespace attune
