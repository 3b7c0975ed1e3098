#include "sparse_update/json_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <vector>

#include "graph/ir/error.h"

namespace attune {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxShown = 120;  // bytes

// What is wrong with a text, found before values are made of it. (A callback of json::parse sees as
// much, but with one the parser goes through a list again for each of its elements.)
class TextCheck : public nlohmann::json_sax<json> {
 public:
  bool too_deep = false, too_large = false;
  std::optional<std::string> twice;  // the first key that an object has more than once
  size_t failed_at = 0;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override {
    keys_.emplace_back();
    return begin();
  }
  bool end_object() override {
    keys_.pop_back();
    return end();
  }
  bool start_array(size_t) override { return begin(); }
  bool end_array() override { return end(); }
  bool key(string_t& key) override {
    if (!twice && !keys_.back().insert(key).second) twice = key;
    return true;
  }
  bool parse_error(size_t at, const std::string&, const json::exception& error) override {
    too_large = dynamic_cast<const json::out_of_range*>(&error) != nullptr;
    failed_at = at;
    return false;
  }

 private:
  bool begin() { return !(too_deep = ++depth_ > kMaxDepth); }
  bool end() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the objects around
};

}  // namespace

json read_json_file(const std::string& path, const std::string& where) {
  std::error_code failure;
  // Asked before it is opened: opening a named pipe would wait for a writer.
  const bool regular = std::filesystem::is_regular_file(path, failure);
  const uint64_t bytes = regular ? std::filesystem::file_size(path, failure) : 0;
  if (regular && bytes > kMaxJsonBytes)
    throw_error("{}: has {} bytes; give a JSON file of at most {}", where, bytes, kMaxJsonBytes);
  std::ifstream file;
  if (regular && !failure) file.open(path, std::ios::binary);
  if (!file.is_open() || !file) throw_error("{}: is not a file that can be read", where);
  return read_json_text({std::istreambuf_iterator<char>(file), {}}, where);
}

json read_json_text(const std::string& text, const std::string& where) {
  TextCheck check;
  const bool is_json = json::sax_parse(text, &check);
  if (check.too_deep)
    throw_error("{}: is nested deeper than {} levels; nothing that is read here is", where,
                kMaxDepth);
  if (check.too_large)
    throw_error("{}: holds a number that is too large; give a smaller one", where);
  if (!is_json)
    throw_error("{}: is not JSON, at byte {}; correct it there", where, check.failed_at);
  if (check.twice) throw_error("{}: gives '{}' twice; keep one", where, shown_name(*check.twice));
  return json::parse(text);
}

json parse_plan_json(const char* text) {
  TextCheck check;
  return json::sax_parse(text, &check) ? json::parse(text) : json(json::value_t::discarded);
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
