#include "cli/limit_options.h"

#include <CLI/CLI.hpp>

#include "graph/import/model_reading.h"
#include "sparse_update/pipeline/budget.h"

namespace attune::cli {
namespace {

constexpr const char* kMaxInputBytes = "--max-input-bytes";
constexpr const char* kMostInput = "2GiB";

}  // namespace

void add_max_input_bytes(CLI::App* verb) {
  if (!verb->get_option_no_throw(kMaxInputBytes))
    verb->add_option(kMaxInputBytes, "The most that is read of one file, and that it may unpack to")
        ->default_str(kMostInput);
}

std::string given_max_input_bytes(const CLI::App* verb) {
  const CLI::Option* option = verb->get_option(kMaxInputBytes);
  return option->count() > 0 ? option->results().back() : "";
}

uint64_t max_input_bytes(const CLI::App* verb) {
  const std::string given = given_max_input_bytes(verb);
  return parse_bytes(kMaxInputBytes, given.empty() ? kMostInput : given);
}

void ModelOptions::add(CLI::App* verb) {
  verb_ = verb;
  verb->add_flag("--follow-links", follow_links_,
                 "Read a model's external data also where they are links: to what these lead to, "
                 "wherever it lies");
  add_max_input_bytes(verb);
}

ModelPtr ModelOptions::load(const std::string& path) const {
  return load_model(path, ModelReading{follow_links_, max_input_bytes(verb_)});
}

}  // namespace attune::cli
