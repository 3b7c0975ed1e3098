#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace attune {

// Of lists and objects of nothing; values take up to thirty times their text.
inline constexpr uint64_t kMaxJsonBytes = 16 << 20;

// Reads a JSON file that a user wrote. Throws Error where it is no regular file, no JSON, longer,
// or nested deeper than anything that is meant here: what walks a value may recurse. `where` starts
// messages.
nlohmann::json read_json_file(const std::string& path, const std::string& where);
// The same of a text that the user wrote elsewhere.
nlohmann::json read_json_text(const std::string& text, const std::string& where);

// JSON that a program wrote (in a plan, in a cache), or discarded where it is none or nested as
// deep.
nlohmann::json parse_plan_json(const char* text);

// A value as a message shows it: JSON in one line, cut where it is long.
std::string shown_json(const nlohmann::json& value);
std::string shown_name(const std::string& name);

}  // namespace attune
