#pragma once

#include <string>

#include "attune/plan.h"

namespace attune::cli {

// A program as a graph for Graphviz: its steps by kind, views where data is one, inputs, outputs
// and what is trained. Throws Error where the plan has no such program.
std::string program_dot(const Plan& plan, ProgramKind kind);

// Whether a file is such a graph.
bool is_dot_file(const std::string& path);

}  // namespace attune::cli
