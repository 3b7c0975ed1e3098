#pragma once

#include <cstdint>
#include <string>

#include "graph/import/model.h"

namespace CLI {
class App;
}

namespace attune::cli {

// --max-input-bytes: what one file, and what it becomes, may take. A verb has it once, whatever it
// reads.
void add_max_input_bytes(CLI::App* verb);
uint64_t max_input_bytes(const CLI::App* verb);
std::string given_max_input_bytes(const CLI::App* verb);  // empty: the default

// How a model's file is read: options of every verb that takes one.
class ModelOptions {
 public:
  void add(CLI::App* verb);
  // Throws Error.
  ModelPtr load(const std::string& path) const;

 private:
  const CLI::App* verb_ = nullptr;
  bool follow_links_ = false;
};

}  // namespace attune::cli
