#pragma once

#include <optional>
#include <string>

#include "cli/adapt_task.h"
#include "sparse_update/adapt/tune.h"

namespace attune::cli {

// What was found, with what it takes to do it by hand.
struct Adapted {
  AdaptTask task;
  int64_t examples = 0;
  Tuned tuned;
  std::optional<Judged> before;
  Judged guessed;
  bool falls_back = false;  // the budget is for the reference backend alone
  bool adopted = false;
  std::string why;
};

// The adapted model's name with another extension, and the file of its classes' names.
std::string beside(const std::string& output, const char* extension);
std::string classes_path(const std::string& output);

// What was done, and the commands of other verbs that do the same.
void report(const AdaptOptions& options, const Adapted& adapted);

}  // namespace attune::cli
