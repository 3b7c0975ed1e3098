#pragma once

#include <string>

namespace attune::cli {

// Before anything is opened: a descriptor of the standard streams that was closed would be given to
// the next file, and messages would go into it. What is written to such an output fails.
void open_standard_streams();

// Why what was written to standard output so far did not all get there; empty where it did.
std::string output_error();

}  // namespace attune::cli
