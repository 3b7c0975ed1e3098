#pragma once

#include <cstdint>
#include <vector>

#include "attune/dataset.h"

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

 private:
  Dataset& data_;
  std::vector<int64_t> indices_;
};

// A split that follows from size, fraction and seed alone: the last round(fraction * size) examples
// of a shuffled order are for validation, at least one on each side; both parts stay in the data's
// order. Throws Error where there are fewer than two examples.
struct Split {
  std::vector<int64_t> training, validation;
};
Split split_examples(int64_t size, double fraction, uint64_t seed);

}  // namespace attune::cli
