#include "engine/io/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/io/file.h"

namespace attune {

Labels::Labels(const DatasetRequest& request)
    : classes_(request.classes),
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
  if (label != std::floor(label) || label < 0 || label >= classes_)
    return wrong_class(where, label);
  const auto narrow = static_cast<int32_t>(label);
  const auto* bytes = reinterpret_cast<const std::byte*>(&narrow);
  bytes_.insert(bytes_.end(), bytes, bytes + sizeof(narrow));
  return Status::ok();
}

Status Labels::add_targets(std::string_view where, std::span<const double> numbers) {
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

Status Labels::add_array(std::string_view where, const NpyArray& array) {
  std::vector<int64_t> rest(array.shape.begin() + (array.shape.empty() ? 0 : 1), array.shape.end());
  const Shape wanted = target_;
  // A column of single numbers may stand as [n] or [n,1].
  const bool single = wanted.elements() == 1 && (rest.empty() || same_dims(rest, Shape{1}));
  if (array.shape.empty() || !(single || same_dims(rest, wanted)))
    return file_error(where, "shape %s, the model's %s take %s; reshape it",
                      dims_text(array.shape).c_str(), are_classes() ? "class labels" : "targets",
                      batch_text(wanted).c_str());
  const int64_t count = array.shape[0], width = wanted.elements();
  std::vector<double> numbers;
  for (int64_t i = 0; i < count; ++i) {
    const std::string example = std::string(where) + "[" + std::to_string(i) + "]";
    if (are_classes()) {
      numbers.resize(static_cast<size_t>(width));
      ATTUNE_RETURN_IF_ERROR(convert_elements(example, array, i * width, width, DType::f64,
                                              std::as_writable_bytes(std::span(numbers))));
      for (double label : numbers) ATTUNE_RETURN_IF_ERROR(append_class(example, label));
    } else {
      ATTUNE_RETURN_IF_ERROR(append_targets(example, array, i * width));
    }
  }
  return Status::ok();
}

void Labels::keep(std::span<const int64_t> indices) {
  auto end = bytes_.begin();
  for (int64_t index : indices) end = std::ranges::copy((*this)[index], end).out;
  bytes_.erase(end, bytes_.end());
}

Status parse_class(std::string_view where, std::string_view text,
                   const std::vector<std::string>& class_names, int64_t* label) {
  const auto name = std::find(class_names.begin(), class_names.end(), text);
  if (name != class_names.end()) {
    *label = name - class_names.begin();
    return Status::ok();
  }
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), *label);
  if (failure == std::errc() && end == text.data() + text.size()) return Status::ok();
  if (class_names.empty())
    return file_error(where,
                      "label `%s` is no number and the plan names no classes; write class numbers, "
                      "or compile the plan with --labels",
                      shortened(text).c_str());
  return file_error(where, "unknown class `%s`; the model knows %s", shortened(text).c_str(),
                    name_list(class_names).c_str());
}

}  // namespace attune
