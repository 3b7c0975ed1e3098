#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/open_dataset.h"
#include "attune/status.h"
#include "engine/io/npy.h"

namespace attune {

// The classes or regression targets of a dataset's examples, in the bytes that Dataset::read gives.
class Labels {
 public:
  explicit Labels(const DatasetRequest& request);

  // Whether the labels are classes, one for each of target_elements() positions; else they are
  // targets of so many real numbers.
  bool are_classes() const { return classes_ > 0; }
  int64_t target_elements() const { return target_.elements(); }
  const Shape& target() const { return target_; }

  // `where` is for messages. The label must be a class, of examples that have one, or the numbers
  // finite in the target's type; or else the class of each position.
  Status add_class(std::string_view where, int64_t label);
  Status add_targets(std::string_view where, std::span<const double> numbers);
  // One label for each of the array's rows: numbers, or classes one-hot on a last axis. `where` and
  // `name` are of the array: "data.npz/y" and "y".
  Status add_array(const std::string& where, std::string_view name, const NpyArray& array);

  // Keeps those of these examples alone, `indices` rising.
  void keep(std::span<const int64_t> indices);

  bool empty() const { return bytes_.empty(); }
  int64_t size() const { return static_cast<int64_t>(bytes_.size() / stride_); }
  size_t bytes_per_example() const { return stride_; }
  std::span<const std::byte> operator[](int64_t index) const {
    return std::span(bytes_).subspan(static_cast<size_t>(index) * stride_, stride_);
  }

 private:
  Status append_class(std::string_view where, double label);
  void append(int32_t label);
  Status append_one_hot(const std::string& where, std::string_view name,
                        std::span<const double> row);
  Status append_targets(std::string_view where, const NpyArray& array, int64_t first);
  Status wrong_class(std::string_view where, double label) const;

  int32_t classes_, ignored_;
  Shape target_;
  DType target_dtype_;
  size_t stride_;
  std::vector<std::byte> bytes_;
};

}  // namespace attune
