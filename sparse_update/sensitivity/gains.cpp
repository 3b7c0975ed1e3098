#include "sparse_update/sensitivity/gains.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attune {
namespace {

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) result[order[j]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return result;
}

std::vector<double> flat(const std::vector<std::vector<double>>& rows) {
  std::vector<double> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

}  // namespace

double Gains::of(const SchemePoint& point) const {
  double gain = bias[static_cast<size_t>(point.bias_last)];
  for (size_t l = 0; l < weight.size(); ++l)
    if (point.options[l] >= 0) gain += weight[l][static_cast<size_t>(point.options[l])];
  return gain;
}

double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty()) return 0;
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double mean = static_cast<double>(a.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

RankAgreement rank_agreement(const Gains& estimated, const Gains& measured) {
  const std::vector<double> bias_a(estimated.bias.begin() + 1, estimated.bias.end());
  const std::vector<double> bias_b(measured.bias.begin() + 1, measured.bias.end());
  const std::vector<double> weight_a = flat(estimated.weight), weight_b = flat(measured.weight);
  std::vector<double> all_a = bias_a, all_b = bias_b;
  all_a.insert(all_a.end(), weight_a.begin(), weight_a.end());
  all_b.insert(all_b.end(), weight_b.begin(), weight_b.end());
  return {rank_correlation(bias_a, bias_b), rank_correlation(weight_a, weight_b),
          rank_correlation(all_a, all_b)};
}

}  // namespace attune
