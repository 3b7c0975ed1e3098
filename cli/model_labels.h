#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "sparse_update/pipeline/compile.h"

namespace attune::cli {

// Names the classes as the model's file does itself (TFLite's metadata), where the options name
// none and replace no classifier. Throws Error where the archive that holds the names is damaged.
void use_labels_of(const Model& model, CompileOptions* options, bool quiet);

// Class names as a text has them, one a line. Throws Error, naming `where`, where a line is blank.
std::vector<std::string> class_names_of(std::istream& text, const std::string& where);

}  // namespace attune::cli
