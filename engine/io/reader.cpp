#include "engine/io/reader.h"

#include <algorithm>
#include <limits>

#include "engine/io/file.h"

namespace attune {

Reader::Reader(const DatasetRequest& request, int64_t size, Labels labels, bool keep)
    : inputs_(request.inputs),
      size_(size),
      labels_(std::move(labels)),
      cache_bytes_left_(keep ? request.cache_bytes : 0) {}

Status Reader::read(int64_t index, int field, std::span<std::byte> bytes) {
  if (index < 0 || index >= size_)
    return Status::error("example %lld does not exist; there are %lld",
                         static_cast<long long>(index), static_cast<long long>(size_));
  if (field == kTargetField) return read_target(index, bytes);
  const std::string_view where = describe(index);
  if (field < 0 || field >= std::ssize(inputs_))
    return file_error(where, "has no field %d; an example has %zu", field, inputs_.size());
  const size_t wanted = inputs_[static_cast<size_t>(field)].bytes();
  if (bytes.size() != wanted)
    return file_error(where, "read into %zu bytes; give room for the %zu of the field",
                      bytes.size(), wanted);
  return guarded(where, [&] { return read_kept(index, field, bytes); });
}

Status Reader::read_target(int64_t index, std::span<std::byte> bytes) {
  if (labels_.empty())
    return file_error(describe(index),
                      "the data has no labels; add them or use it to predict only");
  if (bytes.size() != labels_.bytes_per_example())
    return file_error(describe(index), "the target read into %zu bytes; give room for %zu",
                      bytes.size(), labels_.bytes_per_example());
  std::ranges::copy(labels_[index], bytes.begin());
  return Status::ok();
}

Status Reader::read_kept(int64_t index, int field, std::span<std::byte> bytes) {
  const auto slot = static_cast<size_t>(index);
  if (slot < cache_.size() && cache_[slot]) {
    std::copy_n(cache_[slot].get(), bytes.size(), bytes.begin());
    return Status::ok();
  }
  ATTUNE_RETURN_IF_ERROR(load(index, field, bytes));
  if (bytes.size() > cache_bytes_left_) return Status::ok();
  if (cache_.empty()) cache_.resize(static_cast<size_t>(size_));
  cache_[slot] = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, cache_[slot].get());
  cache_bytes_left_ -= bytes.size();
  return Status::ok();
}

void Reader::keep(std::span<const int64_t> indices) {
  if (!labels_.empty()) labels_.keep(indices);
  if (!weights_.empty()) keep_elements(&weights_, indices);
  if (!advantages_.empty()) keep_elements(&advantages_, indices);
  if (!cache_.empty()) keep_elements(&cache_, indices);
  size_ = std::ssize(indices);
}

Status Reader::set_weights(const std::string& where, std::vector<double> weights) {
  constexpr double kMost = std::numeric_limits<float>::max();
  bool any = weights.empty();
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] >= 0 && weights[i] <= kMost))
      return file_error(where,
                        "the weight %g of example %zu (%s) is no finite number of at least 0",
                        weights[i], i, std::string(describe(static_cast<int64_t>(i))).c_str());
    any = any || weights[i] > 0;
  }
  if (!any) return file_error(where, "all weights are 0; give some examples a weight");
  weights_ = std::move(weights);
  return Status::ok();
}

Status Reader::set_advantages(const std::string& where, std::vector<double> advantages) {
  constexpr double kMost = std::numeric_limits<float>::max();
  for (size_t i = 0; i < advantages.size(); ++i)
    if (!(advantages[i] >= -kMost && advantages[i] <= kMost))
      return file_error(where, "the advantage %g of example %zu is no finite number", advantages[i],
                        i);
  advantages_ = std::move(advantages);
  return Status::ok();
}

std::string_view Reader::describe(int64_t index) {
  if (index < 0 || index >= size_) return "?";
  try {
    description_ = description(index);
  } catch (...) {  // out of memory
    return "?";
  }
  return description_;
}

}  // namespace attune
