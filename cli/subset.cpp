#include "cli/subset.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "attune/open_dataset.h"
#include "engine/random.h"
#include "graph/ir/error.h"

namespace attune::cli {
namespace {

// How many examples of each class are for validation: the whole part of its share, and one more
// where the fractions are largest, until there are `wanted`. One of each stays for training.
std::map<int32_t, int64_t> validation_counts(const std::map<int32_t, int64_t>& sizes,
                                             double fraction, int64_t wanted) {
  std::map<int32_t, int64_t> counts;
  std::vector<std::pair<double, int32_t>> fractions;
  for (const auto& [label, size] : sizes) {
    const double share = fraction * static_cast<double>(size);
    counts[label] = std::min(static_cast<int64_t>(share), size - 1);
    wanted -= counts[label];
    fractions.emplace_back(std::floor(share) - share, label);
  }
  std::ranges::sort(fractions);
  for (bool any = true; wanted > 0 && any;) {
    any = false;
    for (const auto& [fraction_left, label] : fractions)
      if (wanted > 0 && counts[label] < sizes.at(label) - 1) {
        ++counts[label];
        --wanted;
        any = true;
      }
  }
  return counts;
}

std::vector<size_t> field_bytes(const Session& session) {
  std::vector<size_t> bytes;
  for (int i = 0;
       const SessionPort input = session.port(ProgramKind::train_step, PortRole::input, i); ++i)
    bytes.push_back(input.tensor.bytes() / static_cast<size_t>(input.tensor.shape[0]));
  return bytes;
}

// Of example `index`; nothing where it cannot be read, which training will tell.
std::optional<uint64_t> hash_of(Dataset& data, int64_t index, const std::vector<size_t>& fields,
                                std::vector<std::byte>* scratch) {
  uint64_t hash = hash64({});
  for (size_t field = 0; field < fields.size(); ++field) {
    scratch->resize(fields[field]);
    if (!data.read(index, static_cast<int>(field), *scratch)) return std::nullopt;
    hash = hash64(*scratch, hash);
  }
  return hash;
}

}  // namespace

Split split_examples(int64_t size, const std::vector<int32_t>& classes, double fraction,
                     uint64_t seed) {
  if (size < 2)
    throw_error(
        "--validation-split: {} examples cannot be split; give --validation with other data", size);
  const auto class_of = [&](int64_t example) {
    return classes.empty() ? 0 : classes[static_cast<size_t>(example)];
  };
  std::map<int32_t, int64_t> sizes;
  for (int64_t i = 0; i < size; ++i) ++sizes[class_of(i)];
  const auto wanted =
      std::clamp<int64_t>(std::llround(fraction * static_cast<double>(size)), 1, size - 1);
  std::map<int32_t, int64_t> left = validation_counts(sizes, fraction, wanted);
  // A stream of its own: no epoch has this number.
  std::vector<int64_t> order(static_cast<size_t>(size));
  shuffled_order(Random(seed, std::numeric_limits<uint64_t>::max()), size, order.data());
  Split split;
  for (int64_t i = size - 1; i >= 0; --i) {
    const int64_t example = order[static_cast<size_t>(i)];
    const bool validates = left[class_of(example)]-- > 0;
    (validates ? split.validation : split.training).push_back(example);
  }
  if (split.validation.empty())
    throw_error(
        "--validation-split: every class has but one example; give --validation with other data");
  std::ranges::sort(split.training);
  std::ranges::sort(split.validation);
  return split;
}

std::vector<int32_t> classes_of(Dataset& data, const Session& session) {
  const Tensor port = session.port(ProgramKind::train_step, PortRole::label).tensor;
  if (!port || port.shape.elements() != port.shape[0]) return {};
  std::vector<int32_t> classes(static_cast<size_t>(data.size()));
  for (int64_t i = 0; i < data.size(); ++i) {
    int32_t& label = classes[static_cast<size_t>(i)];
    throw_if_error(data.read(i, kTargetField, std::as_writable_bytes(std::span(&label, 1))));
  }
  return classes;
}

int64_t count_shared(Dataset& training, Dataset& validation, const Session& session) {
  const std::vector<size_t> fields = field_bytes(session);
  const size_t bytes = std::accumulate(fields.begin(), fields.end(), size_t{0});
  const auto examples = static_cast<size_t>(training.size() + validation.size());
  if (bytes == 0 || examples > DatasetRequest().cache_bytes / bytes) return 0;
  std::vector<std::byte> scratch;
  std::unordered_set<uint64_t> seen;
  for (int64_t i = 0; i < training.size(); ++i)
    if (const auto hash = hash_of(training, i, fields, &scratch)) seen.insert(*hash);
  int64_t shared = 0;
  for (int64_t i = 0; i < validation.size(); ++i)
    if (const auto hash = hash_of(validation, i, fields, &scratch)) shared += seen.contains(*hash);
  return shared;
}

}  // namespace attune::cli
