#include "sparse_update/glob.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sparse_update/number_text.h"

namespace attune {
namespace {

// Where in a name the pattern so far may end: a bit for each place, 64 at a time, as a pattern and
// a name of a model that somebody else made may both be long.
class Places {
 public:
  explicit Places(std::string_view name) : name_(name), here_(name.size() / 64 + 1) {
    here_[0] = 1;
    for (size_t at = 0; at < name.size(); ++at) {
      std::vector<uint64_t>& of_byte = places_of_[static_cast<unsigned char>(name[at])];
      if (of_byte.empty()) of_byte.resize(here_.size());
      of_byte[at / 64] |= uint64_t{1} << at % 64;
    }
  }

  bool at_end() const { return here_.back() >> name_.size() % 64 & 1; }
  bool none() const {
    return std::all_of(here_.begin(), here_.end(), [](uint64_t word) { return word == 0; });
  }

  void skip_any() {
    const auto first = std::find_if(here_.begin(), here_.end(), [](uint64_t w) { return w != 0; });
    if (first == here_.end()) return;
    *first |= ~(*first - 1);  // and all above the lowest
    std::fill(first + 1, here_.end(), ~uint64_t{0});
    drop_beyond_end();
  }
  void take_one() {
    shift(&here_);
    drop_beyond_end();
  }
  void take(char c) { take(c, &here_); }
  void take_either(const std::vector<std::string_view>& texts) {
    std::vector<uint64_t> all(here_.size()), one;
    for (std::string_view text : texts) {
      one = here_;
      for (char c : text) take(c, &one);
      for (size_t i = 0; i < all.size(); ++i) all[i] |= one[i];
    }
    here_ = std::move(all);
  }
  // As long as there are digits: "1" of "11" is no number.
  void take_number(int64_t low, int64_t high) {
    std::vector<uint64_t> next(here_.size());
    size_t end = name_.size();  // of the digits around, whose number from `at` on is this
    uint64_t number = 0, unit = 1;
    for (size_t at = name_.size(); at-- > 0;) {
      if (name_[at] < '0' || name_[at] > '9') {
        end = at, number = 0, unit = 1;
        continue;
      }
      const auto digit = static_cast<uint64_t>(name_[at] - '0');
      if (digit > 0) number = unit == 0 ? kTooLarge : number + digit * unit;
      unit = unit < kLargestUnit ? unit * 10 : 0;
      if ((here_[at / 64] >> at % 64 & 1) == 0 || number >= kTooLarge) continue;
      const auto value = static_cast<int64_t>(number);
      if (low <= value && value <= high) next[end / 64] |= uint64_t{1} << end % 64;
    }
    here_ = std::move(next);
  }

 private:
  static constexpr uint64_t kTooLarge = uint64_t{1} << 63;
  static constexpr uint64_t kLargestUnit = 1'000'000'000'000'000'000;  // of a number that is not

  void take(char c, std::vector<uint64_t>* places) const {
    const std::vector<uint64_t>& of_byte = places_of_[static_cast<unsigned char>(c)];
    if (of_byte.empty()) return std::fill(places->begin(), places->end(), 0);
    for (size_t i = 0; i < places->size(); ++i) (*places)[i] &= of_byte[i];
    shift(places);
  }
  static void shift(std::vector<uint64_t>* places) {
    for (size_t i = places->size(); i-- > 0;)
      (*places)[i] = (*places)[i] << 1 | (i > 0 ? (*places)[i - 1] >> 63 : 0);
  }
  void drop_beyond_end() { here_.back() &= ~uint64_t{0} >> (63 - name_.size() % 64); }

  std::string_view name_;
  std::vector<uint64_t> here_;
  std::array<std::vector<uint64_t>, 256> places_of_;  // where each byte stands; empty: nowhere
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

constexpr size_t kRangeBytes = 48;  // "[8-11]", with numbers of 64 bits

// "8-11".
bool parse_range(std::string_view text, int64_t* low, int64_t* high) {
  const size_t dash = std::min(text.find('-'), text.size());
  return parse_number(text.substr(0, dash), low) &&
         parse_number(text.substr(std::min(dash + 1, text.size())), high);
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name) {
  Places places(name);
  while (!pattern.empty() && !places.none()) {
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
      places.take(pattern[0]);
    }
    pattern.remove_prefix(taken);
  }
  return places.at_end();
}

}  // namespace attune
