#include "sparse_update/json_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

#include "graph/ir/error.h"

namespace attune {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;
constexpr uint64_t kMaxBytes = 64 << 20;
constexpr size_t kMaxShown = 120;  // bytes

}  // namespace

json read_json_file(const std::string& path, const std::string& where) {
  std::error_code failure;
  // Asked before it is opened: opening a named pipe would wait for a writer.
  const bool regular = std::filesystem::is_regular_file(path, failure);
  const uint64_t bytes = regular ? std::filesystem::file_size(path, failure) : 0;
  if (regular && bytes > kMaxBytes)
    throw_error("{}: has {} bytes; give a JSON file of at most {}", where, bytes, kMaxBytes);
  std::ifstream file;
  if (regular && !failure) file.open(path, std::ios::binary);
  if (!file.is_open() || !file) throw_error("{}: is not a file that can be read", where);
  return read_json_text({std::istreambuf_iterator<char>(file), {}}, where);
}

json read_json_text(const std::string& text, const std::string& where) {
  std::vector<std::set<std::string>> keys;  // of the objects around
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth)
      throw_error("{}: is nested deeper than {} levels; nothing that is read here is", where,
                  kMaxDepth);
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      throw_error("{}: gives '{}' twice; keep one", where, shown_name(parsed.get<std::string>()));
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::parse_error& error) {
    throw_error("{}: is not JSON, at byte {}; correct it there", where, error.byte);
  } catch (const json::out_of_range&) {
    throw_error("{}: holds a number that is too large; give a smaller one", where);
  }
}

json parse_plan_json(const char* text) {
  bool deep = false;
  json parsed = json::parse(
      text,
      [&](int depth, json::parse_event_t, json&) { return !(deep = deep || depth > kMaxDepth); },
      false);
  return deep ? json(json::value_t::discarded) : parsed;
}

std::string shown_name(const std::string& name) {
  std::string shown = name.size() <= kMaxShown ? name : name.substr(0, kMaxShown - 3) + "...";
  std::replace(shown.begin(), shown.end(), '\0', '?');  // a message would end there
  return shown;
}

std::string shown_json(const json& value) {
  // A long list is not written out first.
  if (value.is_structured() && value.size() > kMaxShown)
    return fmt::format("{} of {} elements", value.is_array() ? "a list" : "an object",
                       value.size());
  return shown_name(value.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace attune
