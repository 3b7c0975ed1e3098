#include "sparse_update/glob.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "sparse_update/number_text.h"

namespace attune {
namespace {

// Where in a name the pattern so far may end.
class Places {
 public:
  explicit Places(std::string_view name) : name_(name), here_(name.size() + 1) { here_[0] = true; }

  bool at_end() const { return here_.back(); }

  void skip_any() {
    const auto first = std::find(here_.begin(), here_.end(), true);
    std::fill(first, here_.end(), true);
  }
  void take_one() {
    step([](std::string_view left, const auto& go) {
      if (!left.empty()) go(1);
    });
  }
  void take(std::string_view text) { take_either({text}); }
  void take_either(const std::vector<std::string_view>& texts) {
    step([&](std::string_view left, const auto& go) {
      for (std::string_view text : texts)
        if (left.starts_with(text)) go(text.size());
    });
  }
  // As long as there are digits: "1" of "11" is no number.
  void take_number(int64_t low, int64_t high) {
    step([&](std::string_view left, const auto& go) {
      const size_t digits = std::min(left.find_first_not_of("0123456789"), left.size());
      int64_t number = 0;
      if (parse_number(left.substr(0, digits), &number) && low <= number && number <= high)
        go(digits);
    });
  }

 private:
  template <class Move>
  void step(const Move& move) {
    std::vector<bool> next(here_.size());
    for (size_t at = 0; at < here_.size(); ++at)
      if (here_[at]) move(name_.substr(at), [&](size_t taken) { next[at + taken] = true; });
    here_ = std::move(next);
  }

  std::string_view name_;
  std::vector<bool> here_;
};

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

constexpr size_t kRangeBytes = 48;             // "[8-11]", with numbers of 64 bits
constexpr size_t kPatternBytes = size_t{1} << 14;  // beyond that, nothing is meant: each costs time

// "8-11".
bool parse_range(std::string_view text, int64_t* low, int64_t* high) {
  const size_t dash = std::min(text.find('-'), text.size());
  return parse_number(text.substr(0, dash), low) &&
         parse_number(text.substr(std::min(dash + 1, text.size())), high);
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.size() > kPatternBytes) return false;
  Places places(name);
  while (!pattern.empty()) {
    // What stands between brackets; npos where they are not closed.
    const size_t end = pattern[0] == '['   ? pattern.substr(0, kRangeBytes).find(']')
                       : pattern[0] == '{' ? pattern.find('}')
                                           : std::string_view::npos;
    const std::string_view inner =
        end == std::string_view::npos ? "" : pattern.substr(1, std::max<size_t>(end, 1) - 1);
    int64_t low = 0, high = 0;
    size_t taken = 1;
    if (pattern[0] == '*') {
      places.skip_any();
    } else if (pattern[0] == '?') {
      places.take_one();
    } else if (pattern[0] == '[' && parse_range(inner, &low, &high)) {
      places.take_number(low, high);
      taken = end + 1;
    } else if (pattern[0] == '{' && end != std::string_view::npos) {
      places.take_either(split(inner));
      taken = end + 1;
    } else {
      places.take(pattern.substr(0, 1));
    }
    pattern.remove_prefix(taken);
  }
  return places.at_end();
}

}  // namespace attune
