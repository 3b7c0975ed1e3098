#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cli/common.h"

namespace attune::cli {

// How often examples of one class were taken for another (or the same).
class Confusion {
 public:
  explicit Confusion(int32_t classes) : classes_(static_cast<size_t>(classes)) {}
  void count(int32_t truth, int32_t taken_for);

  struct ClassScore {
    uint64_t examples = 0, taken = 0, correct = 0;  // of the class, for the class, both
    // Absent where nothing was there to be right about.
    std::optional<double> recall() const;
    std::optional<double> precision() const;
  };
  const std::vector<ClassScore>& classes() const { return classes_; }
  // By (truth, taken for); what never happened is not there.
  const std::map<std::pair<int32_t, int32_t>, uint64_t>& cells() const { return cells_; }

  // Classes that have examples, those of the least recall first.
  std::vector<int32_t> worst_classes() const;
  // What was taken for something else, the most frequent first.
  std::vector<std::pair<std::pair<int32_t, int32_t>, uint64_t>> mistakes() const;

 private:
  std::vector<ClassScore> classes_;
  std::map<std::pair<int32_t, int32_t>, uint64_t> cells_;
};

// The errors of one number that a model predicts.
class NumberScore {
 public:
  void count(double prediction, double target);
  double mae() const { return absolute_ / examples_; }
  double mse() const { return square_ / examples_; }
  // The share of the targets' variance that is predicted; absent where they are all the same.
  std::optional<double> r2() const;

 private:
  double examples_ = 0, absolute_ = 0, square_ = 0;
  double mean_ = 0, spread_ = 0;  // of the targets: the sum of squared distances from the mean
};

// Watches `evaluate`: what was predicted of each example (or position) that has a weight.
class Scores {
 public:
  explicit Scores(LoadedPlan& loaded);
  ~Scores();
  Scores(const Scores&) = delete;
  Scores& operator=(const Scores&) = delete;

  // Where the model gives a class, or numbers, and the loss is one of these.
  const Confusion* confusion() const { return confusion_ ? &*confusion_ : nullptr; }
  const std::vector<NumberScore>& numbers() const { return numbers_; }

 private:
  void watch(const KernelArgs& loss);

  Session& session_;
  int loss_step_ = -1;
  std::optional<Confusion> confusion_;
  bool predicts_numbers_ = false;
  std::vector<NumberScore> numbers_;
};

}  // namespace attune::cli
