#pragma once

#include <cstdint>
#include <vector>

#include "attune/dataset.h"
#include "attune/session.h"

namespace attune::cli {

// Some examples of a dataset, which must outlive this.
class Subset : public Dataset {
 public:
  Subset(Dataset& data, std::vector<int64_t> indices) : data_(data), indices_(std::move(indices)) {}
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  bool labelled() const override { return data_.labelled(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    return data_.read(indices_[static_cast<size_t>(index)], field, bytes);
  }
  std::string_view describe(int64_t index) override {
    return data_.describe(indices_[static_cast<size_t>(index)]);
  }
  double advantage(int64_t index) override {
    return data_.advantage(indices_[static_cast<size_t>(index)]);
  }
  double weight(int64_t index) override {
    return data_.weight(indices_[static_cast<size_t>(index)]);
  }

 private:
  Dataset& data_;
  std::vector<int64_t> indices_;
};

// A split that follows from labels, fraction and seed alone: round(fraction * size) examples are
// for validation, of each class its share as nearly as that goes, the last ones of a shuffled
// order; one at least on each side, and of each class in training. Both parts stay in the data's
// order. `classes` are those of the examples; empty: the split heeds none. Throws Error where the
// examples are too few.
struct Split {
  std::vector<int64_t> training, validation;
};
Split split_examples(int64_t size, const std::vector<int32_t>& classes, double fraction,
                     uint64_t seed);

// The class of each example, as train_step takes them; empty where these have not one each.
std::vector<int32_t> classes_of(Dataset& data, const Session& session);

// How many of the examples to validate with have the same inputs as one to train with, bit for bit.
// Not counted, 0, where so many do not fit into a reader's cache: they would all be read twice.
int64_t count_shared(Dataset& training, Dataset& validation, const Session& session);

}  // namespace attune::cli
