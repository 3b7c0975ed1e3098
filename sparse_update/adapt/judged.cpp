#include "sparse_update/adapt/judged.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "engine/batch.h"
#include "graph/ir/error.h"
#include "graph/ir/interrupt.h"

namespace attune {
namespace {

constexpr double kErrorsBeyondGuessing = 2.3;  // of the mean of the differences
constexpr double kErrorsBeyondBefore = 0.5;
constexpr double kMostChance = 0.01;

double mean(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
}

// By how many standard errors of their mean these are above 0.
double standard_errors(const std::vector<double>& gains) {
  const double gain = mean(gains), n = static_cast<double>(gains.size());
  double squares = 0;
  for (double g : gains) squares += (g - gain) * (g - gain);
  const double error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  if (error == 0) return gain > 0 ? std::numeric_limits<double>::infinity() : 0;
  return gain / error;
}

std::vector<double> differences(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> made(a.size());
  for (size_t i = 0; i < made.size(); ++i) made[i] = a[i] - b[i];
  return made;
}

// The chance that at least `hits` of `n` tries of probability `p` succeed.
double chance_of(double hits, double n, double p) {
  if (p <= 0) return hits > 0 ? 0 : 1;
  if (p >= 1) return 1;
  double sum = 0;
  for (double k = std::ceil(hits); k <= n; ++k)
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) +
                    k * std::log(p) + (n - k) * std::log1p(-p));
  return std::min(sum, 1.0);
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

double Judged::loss() const {
  return losses.empty() ? std::numeric_limits<double>::infinity() : mean(losses);
}
double Judged::accuracy() const { return right.empty() ? 0 : mean(right); }

bool judge(Session& session, Dataset& data, Judged* judged) {
  Batch batch;
  throw_if_error(Batch::bind(session, ProgramKind::evaluate, data, &batch));
  const bool classes = static_cast<bool>(session.port(ProgramKind::evaluate, PortRole::metric));
  *judged = {};
  for (int64_t i = 0; i < data.size(); ++i) {
    check_interrupt();
    throw_if_error(batch.fill(data, nullptr, i, 1));
    throw_if_error(session.run(ProgramKind::evaluate));
    if (!std::isfinite(batch.loss())) return false;
    judged->losses.push_back(batch.loss());
    // Of an example some of whose positions are ignored, the others count.
    const double counted = data.weight(i) > 0 ? batch.weight() / data.weight(i) : 1;
    if (classes)
      judged->right.push_back(
          counted > 0 ? batch.correct() / (counted * static_cast<double>(batch.positions())) : 0);
  }
  return true;
}

Judged guessed_classes(const std::vector<std::vector<int32_t>>& labels) {
  std::map<int32_t, double> counts;
  double all = 0;
  for (const auto& of_one : labels)
    for (int32_t label : of_one)
      if (label != kIgnoredLabel) ++counts[label], ++all;
  const auto commonest =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  Judged guessed;
  for (const auto& of_one : labels) {
    double loss = 0, right = 0, counted = 0;
    for (int32_t label : of_one) {
      if (label == kIgnoredLabel) continue;
      loss -= std::log(counts[label] / all);
      right += label == commonest->first;
      ++counted;
    }
    guessed.losses.push_back(loss / std::max(counted, 1.0));
    guessed.right.push_back(right / std::max(counted, 1.0));
  }
  return guessed;
}

Judged guessed_numbers(const std::vector<std::vector<double>>& targets) {
  std::vector<double> means(targets.front().size());
  for (const auto& of_one : targets)
    for (size_t i = 0; i < means.size(); ++i)
      means[i] += of_one[i] / static_cast<double>(targets.size());
  Judged guessed;
  for (const auto& of_one : targets) {
    double squares = 0;
    for (size_t i = 0; i < means.size(); ++i)
      squares += (of_one[i] - means[i]) * (of_one[i] - means[i]);
    guessed.losses.push_back(squares / static_cast<double>(means.size()));
  }
  return guessed;
}

bool clearly_worse(const Judged& a, const Judged& b, double errors) {
  return standard_errors(differences(a.losses, b.losses)) > errors ||
         (a.has_classes() && standard_errors(differences(b.right, a.right)) > errors);
}

bool is_better(const Judged& after, const Judged* before, const Judged* guessed, std::string* why) {
  if (guessed) {
    const double n = static_cast<double>(after.right.size());
    if (after.has_classes() &&
        chance_of(after.accuracy() * n, n, guessed->accuracy()) > kMostChance) {
      *why = fmt::format(
          "{} are right, where always guessing the commonest class gets {}: so much "
          "can be chance",
          percent(after.accuracy()), percent(guessed->accuracy()));
      return false;
    }
    if (standard_errors(differences(guessed->losses, after.losses)) < kErrorsBeyondGuessing) {
      *why = fmt::format("its loss, {:.4g}, is not clearly below that of guessing, {:.4g}",
                         after.loss(), guessed->loss());
      return false;
    }
  }
  if (!before) return true;
  if (after.accuracy() < before->accuracy()) {
    *why = fmt::format("{} are right, and the original model gets {}", percent(after.accuracy()),
                       percent(before->accuracy()));
    return false;
  }
  if (standard_errors(differences(before->losses, after.losses)) < kErrorsBeyondBefore) {
    *why = fmt::format("its loss, {:.4g}, is not clearly below the original model's, {:.4g}",
                       after.loss(), before->loss());
    return false;
  }
  return true;
}

}  // namespace attune
