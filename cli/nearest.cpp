#include "cli/nearest.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace attune::cli {
namespace {

// Letters changed, missing, too many or swapped with their neighbour.
size_t mistakes(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> least(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        least[i][j] = i + j;
        continue;
      }
      least[i][j] = std::min({least[i - 1][j] + 1, least[i][j - 1] + 1,
                              least[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        least[i][j] = std::min(least[i][j], least[i - 2][j - 2] + 1);
    }
  return least[a.size()][b.size()];
}

}  // namespace

std::string nearest(std::string_view word, std::span<const std::string> words) {
  constexpr size_t kLongest = 64;  // an option is shorter; an argument may be of any length
  std::string best;
  if (word.size() > kLongest) return best;
  size_t least = word.size() / 3 + 1;
  for (const std::string& candidate : words) {
    const size_t count = mistakes(word, candidate);
    if (count < least)
      best = candidate;
    else if (count == least)
      best.clear();
    least = std::min(least, count);
  }
  return best;
}

std::string or_rather(std::string_view word, std::span<const std::string> words) {
  const std::string meant = nearest(word, words);
  return meant.empty() ? "" : " (did you mean " + meant + "?)";
}

std::vector<std::string> long_options(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  for (const CLI::App* group : verb.get_subcommands({}))
    for (std::string& name : long_options(*group)) names.push_back(std::move(name));
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace attune::cli
