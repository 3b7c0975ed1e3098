#include "engine/io/labels.h"

#include <algorithm>
#include <cmath>

#include "engine/io/file.h"
#include "engine/io/shape_fit.h"

namespace attune {

Labels::Labels(const DatasetRequest& request)
    : classes_(request.classes),
      ignored_(request.ignored_label),
      target_(request.target),
      target_dtype_(request.target_dtype),
      stride_(dtype_bytes(request.classes > 0 ? DType::i32 : request.target_dtype,
                          static_cast<size_t>(request.target.elements()))) {}

Status Labels::wrong_class(std::string_view where, double label) const {
  return file_error(where, "label %.15g, but the model's classes are 0 .. %d; correct the labels",
                    label, classes_ - 1);
}

Status Labels::add_class(std::string_view where, int64_t label) {
  if (target_elements() != 1)
    return file_error(
        where,
        "one label, but the model classifies %s positions of an example; give an .npz "
        "with x and y",
        dims_text(target_).c_str());
  return append_class(where, static_cast<double>(label));
}

// Through double, so that a label beyond 32 bits is told as what it is.
Status Labels::append_class(std::string_view where, double label) {
  if (label == ignored_ && target_elements() > 1) {
    append(kIgnoredLabel);
    return Status::ok();
  }
  if (label != std::floor(label) || label < 0 || label >= classes_)
    return wrong_class(where, label);
  append(static_cast<int32_t>(label));
  return Status::ok();
}

void Labels::append(int32_t label) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&label);
  bytes_.insert(bytes_.end(), bytes, bytes + sizeof(label));
}

Status Labels::add_targets(std::string_view where, std::span<const double> numbers) {
  if (are_classes()) {
    for (double label : numbers) ATTUNE_RETURN_IF_ERROR(append_class(where, label));
    return Status::ok();
  }
  NpyArray array{NpyType::f64, {static_cast<int64_t>(numbers.size())}, {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(numbers.data());
  array.bytes.assign(bytes, bytes + numbers.size_bytes());
  return append_targets(where, array, 0);
}

Status Labels::append_targets(std::string_view where, const NpyArray& array, int64_t first) {
  const size_t start = bytes_.size();
  bytes_.resize(start + stride_);
  return convert_elements(where, array, first, target_elements(), target_dtype_,
                          std::span(bytes_).subspan(start));
}

Status Labels::append_one_hot(const std::string& where, std::string_view name,
                              std::span<const double> row) {
  const auto ones = std::ranges::count(row, 1.0), zeros = std::ranges::count(row, 0.0);
  if (ones == 1 && zeros + 1 == std::ssize(row))
    return append_class(where, static_cast<double>(std::ranges::find(row, 1.0) - row.begin()));
  const std::string array(name);
  if (ones + zeros == std::ssize(row))
    return file_error(where,
                      "%d of the %zu classes are 1, and the loss takes one class for each example; "
                      "choose one, or compile with a loss that takes several",
                      static_cast<int>(ones), row.size());
  return file_error(
      where,
      "neither 0 nor 1 for each class (the first is %g), and the loss takes one class "
      "for each example; write %s.argmax(axis=-1), or compile with a loss that takes "
      "probabilities",
      row[0], array.c_str());
}

Status Labels::add_array(const std::string& where, std::string_view name, const NpyArray& array) {
  const std::vector<int64_t> rest(array.shape.begin() + (array.shape.empty() ? 0 : 1),
                                  array.shape.end());
  const bool holds = !array.shape.empty() && holds_example(rest, target_);
  // One-hot: the same, and then an axis of the classes.
  const bool by_class = !holds && classes_ > 1 && !rest.empty() && rest.back() == classes_ &&
                        holds_example(std::span(rest).first(rest.size() - 1), target_);
  if (!holds && !by_class)
    return file_error(where, "shape %s, the model's %s take %s%s; %s",
                      dims_text(array.shape).c_str(), are_classes() ? "class labels" : "targets",
                      batch_text(target_).c_str(), are_classes() ? ", or one-hot" : "",
                      shape_advice(name, array.shape, target_).c_str());
  const int64_t width = target_elements() * (by_class ? classes_ : 1);
  std::vector<double> numbers(static_cast<size_t>(width));
  for (int64_t i = 0; i < array.shape[0]; ++i) {
    const std::string example = where + "[" + std::to_string(i) + "]";
    if (!are_classes()) {
      ATTUNE_RETURN_IF_ERROR(append_targets(example, array, i * width));
      continue;
    }
    ATTUNE_RETURN_IF_ERROR(convert_elements(example, array, i * width, width, DType::f64,
                                            std::as_writable_bytes(std::span(numbers))));
    for (auto rest_of = std::span<const double>(numbers); by_class && !rest_of.empty();
         rest_of = rest_of.subspan(static_cast<size_t>(classes_)))
      ATTUNE_RETURN_IF_ERROR(
          append_one_hot(example, name, rest_of.first(static_cast<size_t>(classes_))));
    for (double label : numbers)
      if (!by_class) ATTUNE_RETURN_IF_ERROR(append_class(example, label));
  }
  return Status::ok();
}

void Labels::keep(std::span<const int64_t> indices) {
  auto end = bytes_.begin();
  for (int64_t index : indices) end = std::ranges::copy((*this)[index], end).out;
  bytes_.erase(end, bytes_.end());
}

}  // namespace attune
