#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "cli/common.h"

namespace attune::cli {

// A dataset, which must outlive this, whose examples count by their class as well.
class ClassWeighted : public Dataset {
 public:
  // `classes` has the class of each example, `weights` what each class weighs.
  ClassWeighted(Dataset& data, std::vector<int32_t> classes, std::vector<double> weights)
      : data_(data), classes_(std::move(classes)), weights_(std::move(weights)) {}
  int64_t size() const override { return data_.size(); }
  bool labelled() const override { return data_.labelled(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    return data_.read(index, field, bytes);
  }
  std::string_view describe(int64_t index) override { return data_.describe(index); }
  double advantage(int64_t index) override { return data_.advantage(index); }
  double weight(int64_t index) override {
    return data_.weight(index) *
           weights_[static_cast<size_t>(classes_[static_cast<size_t>(index)])];
  }
  int note_count() const override { return data_.note_count(); }
  std::string_view note(int index) const override { return data_.note(index); }

  const std::vector<double>& weights() const { return weights_; }

 private:
  Dataset& data_;
  std::vector<int32_t> classes_;
  std::vector<double> weights_;
};

// Data to train on as --class-weights says: "balanced", where n / (classes * count) makes all
// classes of the data weigh the same, as in scikit-learn; or one weight a class, as "a,b,c" or in a
// file. Throws Error.
std::unique_ptr<ClassWeighted> weigh_classes(const std::string& text, const LoadedPlan& loaded,
                                             Dataset& data);

}  // namespace attune::cli
