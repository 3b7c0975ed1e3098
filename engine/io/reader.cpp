#include "engine/io/reader.h"

#include <algorithm>

#include "engine/io/file.h"

namespace attune {

Reader::Reader(const DatasetRequest& request, int64_t size, Labels labels, bool keep)
    : example_(request.example),
      size_(size),
      labels_(std::move(labels)),
      cache_bytes_left_(keep ? request.cache_bytes : 0) {}

Status Reader::read(int64_t index, std::span<std::byte> input, std::span<std::byte> target) {
  if (index < 0 || index >= size_)
    return Status::error("example %lld does not exist; there are %lld",
                         static_cast<long long>(index), static_cast<long long>(size_));
  const std::string_view where = describe(index);
  if (!input.empty() && input.size() != example_.bytes())
    return file_error(where, "read into %zu bytes; give room for the %zu of an example",
                      input.size(), example_.bytes());
  if (!target.empty()) {
    if (labels_.empty())
      return file_error(where, "the data has no labels; add them or use it to predict only");
    if (target.size() != labels_.bytes_per_example())
      return file_error(where, "the target read into %zu bytes; give room for %zu", target.size(),
                        labels_.bytes_per_example());
    std::ranges::copy(labels_[index], target.begin());
  }
  if (input.empty()) return Status::ok();
  return guarded(where, [&] { return read_input(index, input); });
}

Status Reader::read_input(int64_t index, std::span<std::byte> input) {
  const auto slot = static_cast<size_t>(index);
  if (slot < cache_.size() && cache_[slot]) {
    std::copy_n(cache_[slot].get(), input.size(), input.begin());
    return Status::ok();
  }
  ATTUNE_RETURN_IF_ERROR(load(index, input));
  if (input.size() > cache_bytes_left_) return Status::ok();
  if (cache_.empty()) cache_.resize(static_cast<size_t>(size_));
  cache_[slot] = std::make_unique_for_overwrite<std::byte[]>(input.size());
  std::ranges::copy(input, cache_[slot].get());
  cache_bytes_left_ -= input.size();
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
