#pragma once

#include <string>

#include "sparse_update/search/front.h"

namespace attune::cli {

// A picture of both fronts, gain over memory and over time, with the chosen scheme and the budget:
// an SVG document.
std::string front_picture(const SchemeFronts& fronts, const Gains& gains, const FoundScheme& chosen,
                          const Budget& budget, const std::string& title);

}  // namespace attune::cli
