#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace attune::cli {

// What an output file may replace: nothing, or a file of its own kind, told by how it starts; or a
// pipe or device that takes it. Throws Error where `path` is anything else, cannot be written, or
// has the ending of another format, which other programs would take it for. `kind` is "a plan", for
// the message, and `ending` ".att".
void check_replaceable(const std::string& path, const char* kind, const char* ending,
                       bool (*is_kind)(const std::string& path));

// Throws Error where `path` has the ending of another format than `ending`.
void check_ending(const std::string& path, const char* kind, const char* ending);
// check_replaceable for a model, of either format.
void check_model_replaceable(const std::string& path);

bool file_starts_with(const std::string& path, std::string_view start);
bool is_plan_file(const std::string& path);
bool is_scheme_file(const std::string& path);
bool is_front_file(const std::string& path);
bool is_trace_file(const std::string& path);
bool is_svg_file(const std::string& path);
// Whether the file can be read as a target.
bool is_target_file(const std::string& path);

// Whether two names, where both are given, are of one file, which need not be there.
bool same_file(const std::string& a, const std::string& b);
// Throws Error where two of these options name one file: it would keep the last result only.
void check_files_differ(std::initializer_list<std::pair<const char*, std::string>> options);

// Writes a file by way of a temporary one beside it. Throws Error.
void write_text(const std::string& path, const std::string& text);

}  // namespace attune::cli
