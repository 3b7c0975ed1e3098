#include "sparse_update/sensitivity/examples.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/plan.h"
#include "engine/random.h"
#include "graph/error.h"

namespace attune {
namespace {

size_t bytes_of_one(const Tensor& batch) {
  return batch ? batch.bytes() / static_cast<size_t>(batch.shape[0]) : 0;
}

}  // namespace

ExamplesInMemory::ExamplesInMemory(Dataset& data, const std::vector<int64_t>& indices,
                                   const Session& session)
    : count_(static_cast<int64_t>(indices.size())) {
  constexpr ProgramKind kTrain = ProgramKind::train_step;
  Tensor target = session.input(kTrain, "labels");
  if (!target) target = session.input(kTrain, "targets");
  input_bytes_ = bytes_of_one(session.model_input(kTrain, 0));
  target_bytes_ = bytes_of_one(target);
  const size_t stride = input_bytes_ + target_bytes_;
  bytes_.resize(stride * indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    const auto example = std::span(bytes_).subspan(i * stride, stride);
    throw_if_error(
        data.read(indices[i], example.first(input_bytes_), example.subspan(input_bytes_)));
    names_.emplace_back(data.describe(indices[i]));
  }
  hash_ = hash64(bytes_);
}

Status ExamplesInMemory::read(int64_t index, std::span<std::byte> input,
                              std::span<std::byte> target) {
  const size_t stride = input_bytes_ + target_bytes_;
  const std::byte* example = bytes_.data() + static_cast<size_t>(index) * stride;
  if (input.size() != input_bytes_ || (!target.empty() && target.size() != target_bytes_))
    return Status::error("the plan's examples are not those that were read");
  std::memcpy(input.data(), example, input_bytes_);
  if (!target.empty()) std::memcpy(target.data(), example + input_bytes_, target_bytes_);
  return Status::ok();
}

std::string_view ExamplesInMemory::describe(int64_t index) {
  return names_[static_cast<size_t>(index)];
}

TaskExamples take_examples(Dataset& data, const Session& session, int64_t count, uint64_t seed) {
  if (!data.labelled()) throw_error("--data: the examples have no labels, and nothing to learn");
  if (data.size() < 2)
    throw_error("--data: {} examples are too few to learn from and to judge by; give more",
                data.size());
  std::vector<int64_t> order(static_cast<size_t>(data.size()));
  // A stream of its own: no epoch has this number.
  shuffled_order(Random(seed, std::numeric_limits<uint64_t>::max() - 1), data.size(), order.data());
  order.resize(static_cast<size_t>(std::clamp<int64_t>(count, 2, data.size())));
  const auto split = order.end() - std::ssize(order) / 2;
  TaskExamples examples;
  examples.training =
      std::make_unique<ExamplesInMemory>(data, std::vector<int64_t>(order.begin(), split), session);
  examples.validation =
      std::make_unique<ExamplesInMemory>(data, std::vector<int64_t>(split, order.end()), session);
  return examples;
}

}  // namespace attune
