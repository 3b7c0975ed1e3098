#pragma once

#include <string>
#include <vector>

#include "sparse_update/pipeline/compile.h"

namespace attune::test {

// What is held against a record, as text. A hash is of 64 bits.
struct Figures {
  std::string gradients;   // hash: those of the first step, by name
  std::string parameters;  // hash: after two steps, by name
  std::string evaluated;   // hash: what evaluate and predict then give
  std::string losses;      // of both steps, all their bits
  std::string arena;       // bytes
};

// A row of recorded.txt: what is compiled, and what came of it.
struct Record {
  std::string network, scheme, batch, options;
  Figures figures;
  bool has_budget() const { return options.find("budget:") != std::string::npos; }
  // Throws Error where the row has an option that there is not.
  CompileOptions compile_options() const;
};

std::vector<Record> read_records();
void write_records(const std::vector<Record>& records);

}  // namespace attune::test
