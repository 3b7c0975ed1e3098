#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

// Its header takes five seconds to compile.
namespace CLI {
class App;
}

namespace attune::cli {

// Of `words` the one that `word` is a misspelling of, with one letter in three changed, missing,
// too many or swapped with its neighbour at most; empty: none is, or several are alike.
std::string nearest(std::string_view word, std::span<const std::string> words);
// " (did you mean WORD?)" for what is said of an unknown word; empty where none is near.
std::string or_rather(std::string_view word, std::span<const std::string> words);

// "--scheme", "--data" ..: what a verb takes.
std::vector<std::string> long_options(const CLI::App& verb);

}  // namespace attune::cli
