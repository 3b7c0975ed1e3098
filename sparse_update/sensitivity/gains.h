#pragma once

#include <string>
#include <vector>

#include "sparse_update/sensitivity/space.h"

namespace attune {

// What each choice is expected to gain over training the classifier alone.
struct Gains {
  std::string unit;  // "accuracy" (fractions), "loss" (its decrease), "fisher"
  double base = 0;   // what the classifier alone reaches: accuracy, minus the loss; 0 for fisher
  std::vector<double> bias;                 // [k], k = 0 .. depth; bias[0] is 0
  std::vector<std::vector<double>> weight;  // [layer][option]

  // Choices are taken to add up.
  double of(const SchemePoint& point) const;
  // What a gain comes to: an accuracy, or a loss.
  double reached(double gain) const { return unit == "loss" ? -(base + gain) : base + gain; }
};

// Spearman's rank correlation: 1 where b orders as a does, -1 where it reverses it. Ties share
// their mean rank; 0 where either is constant.
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

// How well estimated gains order what measured ones do: biases, weights, and all together.
struct RankAgreement {
  double bias = 0, weight = 0, all = 0;
};
RankAgreement rank_agreement(const Gains& estimated, const Gains& measured);

}  // namespace attune
