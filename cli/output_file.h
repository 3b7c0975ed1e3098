#pragma once

#include <string>

namespace attune::cli {

// What an output file may replace: nothing, or a file of its own kind, told by how it starts.
// Throws Error where `path` is anything else. `kind` is "a plan", for the message.
void check_replaceable(const std::string& path, const char* kind,
                       bool (*is_kind)(const std::string& path));

bool is_plan_file(const std::string& path);
bool is_scheme_file(const std::string& path);
bool is_front_file(const std::string& path);
bool is_svg_file(const std::string& path);
// Whether the file parses as an ONNX model.
bool is_model_file(const std::string& path);

}  // namespace attune::cli
