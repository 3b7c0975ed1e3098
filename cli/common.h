#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "attune/dataset.h"
#include "attune/open_dataset.h"
#include "attune/session.h"
#include "cli/data_options.h"
#include "cli/signature_options.h"
#include "graph/ir/error.h"
#include "sparse_update/cost/rates.h"
#include "sparse_update/number_text.h"

// Its header takes five seconds to compile: files that add options include it themselves.
namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

// What the verbs share.
namespace attune::cli {

inline constexpr int kBadInput = 2;
inline constexpr int kInterrupted = 130;

// A verb: its options, and what it does; `run` returns the exit status or throws Error.
struct Verb {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

// Adds a verb with a footer of examples to --help.
CLI::App* add_verb(CLI::App& app, const char* name, const char* description, const char* examples);

// --json and --quiet: every verb has them.
struct OutputOptions {
  bool json = false;
  bool quiet = false;
  void add(CLI::App* app);
};

// --backend and --threads, for verbs that run a session.
struct SessionChoice {
  std::string backend = "best";
  int threads = 1;
  SignatureOptions signatures;
  void add(CLI::App* app);
  SessionOptions options() const;
  bool named = false;          // `backend` was chosen by other means than the command line
  bool names_backend() const;  // on the command line, or so

 private:
  CLI::Option* backend_option_ = nullptr;
};

// --target, for verbs that estimate.
struct TargetChoice {
  std::string path;  // empty: none
  void add(CLI::App* app);
  // None where none is given. Notes where a session has another number of threads than the target.
  std::optional<Target> target(int threads) const;
  std::unique_ptr<Rates> rates(int threads) const;
};

// What --seed takes: conversion alone would wrap a negative number and cut a large one.
CLI::Validator is_seed();

// Ordered as written, so that people can read it.
using Json = nlohmann::ordered_json;

// One JSON document on standard output; bytes that are not UTF-8 become U+FFFD.
void print_json(const Json& json);
// JSON has no infinity: null.
Json number_json(double number);
std::string dump_line(const Json& json);

// "attune: text" on standard error, or given to who takes the notes of this program.
void print_note(const std::string& text);
using NoteTaker = std::function<void(const std::string& text)>;
void take_notes(NoteTaker taker);

// A plan and a session on it.
struct LoadedPlan {
  SignatureOptions signatures;  // what checkpoints must have, too
  SignedBytes memory;           // of a plan whose signature was asked for
  Plan plan;
  std::unique_ptr<Session> session;
  std::string backend;  // for people: what the session runs on, where the plan says; else empty

  const format::Plan& table() const { return plan.table(); }
  int32_t classes() const;
  // The class's name, or its number where the plan has no names.
  std::string class_name(int32_t number) const;
};

// Loads a plan; `programs` as in SessionOptions. Where the command line names no backend, the
// session runs on the one that the plan was compiled for. Throws Error.
std::unique_ptr<LoadedPlan> load_plan(const std::string& path, const SessionChoice& choice,
                                      unsigned programs);
// The same of a plan that is loaded already.
void open_session(LoadedPlan& loaded, const SessionChoice& choice, unsigned programs);
constexpr unsigned program_bit(ProgramKind kind) { return 1u << static_cast<unsigned>(kind); }

// Loads a checkpoint into the session unless `path` is empty. Throws Error.
void load_parameters(LoadedPlan& loaded, const std::string& path);

// What a plan's program says about its data. Names stay the plan's.
DatasetRequest data_request(const Session& session, ProgramKind kind);

// Opens data for one of a plan's programs. Throws Error.
std::unique_ptr<Dataset> open_data(const Session& session, ProgramKind kind,
                                   const std::string& path, const DataOptions& options);
inline std::unique_ptr<Dataset> open_data(const LoadedPlan& loaded, ProgramKind kind,
                                          const std::string& path, const DataOptions& options) {
  return open_data(*loaded.session, kind, path, options);
}

// Prints what a dataset has noted, unless `quiet`, from note `first` on: reading examples may add
// some. Returns how many there are.
size_t print_notes(const Dataset& data, bool quiet, size_t first = 0);

// "12.3 MB"; "1:02:03".
std::string bytes_text(size_t bytes);
std::string duration_text(double seconds);

}  // namespace attune::cli
