#include "sparse_update/adapt/class_match.h"

#include <algorithm>
#include <numeric>

#include "engine/random.h"

namespace attune {
namespace {

constexpr uint64_t kShuffles = 50;
constexpr double kLeastAgreement = 0.5;

// The class and the output that are most probable together, then the next ones of those left.
ClassMatch greedy(const std::vector<int32_t>& labels,
                  const std::vector<std::vector<double>>& probabilities, int32_t classes) {
  const size_t outputs = probabilities.front().size();
  std::vector<double> sums(static_cast<size_t>(classes) * outputs);
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t o = 0; o < outputs; ++o)
      sums[static_cast<size_t>(labels[i]) * outputs + o] += probabilities[i][o];
  std::vector<size_t> pairs(sums.size());
  std::iota(pairs.begin(), pairs.end(), size_t{0});
  std::ranges::stable_sort(pairs, [&](size_t a, size_t b) { return sums[a] > sums[b]; });

  ClassMatch match;
  match.output_of.assign(static_cast<size_t>(classes), -1);
  std::vector<char> taken(outputs);
  for (size_t pair : pairs) {
    int32_t& output = match.output_of[pair / outputs];
    if (output >= 0 || taken[pair % outputs]) continue;
    output = static_cast<int32_t>(pair % outputs);
    taken[pair % outputs] = true;
  }
  double agree = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto predicted = std::ranges::max_element(probabilities[i]) - probabilities[i].begin();
    agree += predicted == match.output_of[static_cast<size_t>(labels[i])];
  }
  match.agreement = agree / static_cast<double>(labels.size());
  return match;
}

}  // namespace

ClassMatch match_classes(const std::vector<int32_t>& labels,
                         const std::vector<std::vector<double>>& probabilities, int32_t classes) {
  ClassMatch match = greedy(labels, probabilities, classes);
  match.certain = match.agreement >= kLeastAgreement;
  const auto count = static_cast<int64_t>(labels.size());
  std::vector<int32_t> order(labels.size()), shuffled(labels.size());
  for (uint64_t s = 0; match.certain && s < kShuffles; ++s) {
    shuffled_order(Random(s, 0), count, order.data());
    for (size_t i = 0; i < labels.size(); ++i) shuffled[i] = labels[static_cast<size_t>(order[i])];
    match.certain = greedy(shuffled, probabilities, classes).agreement < match.agreement;
  }
  return match;
}

}  // namespace attune
