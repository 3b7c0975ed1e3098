#include "sparse_update/sensitivity/examples.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "attune/plan.h"
#include "engine/random.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

size_t bytes_of_one(const Tensor& batch) {
  return batch ? batch.bytes() / static_cast<size_t>(batch.shape[0]) : 0;
}

// What the training step learns from; absent where that is its input.
Tensor target_of(const Session& session) {
  const SessionPort label = session.port(ProgramKind::train_step, PortRole::label);
  return (label ? label : session.port(ProgramKind::train_step, PortRole::target)).tensor;
}

// 0, 1, 2 ...
std::vector<int64_t> counted(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

std::vector<int64_t> shuffled(int64_t count, Random random) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  shuffled_order(random, count, order.data());
  return order;
}

}  // namespace

std::shared_ptr<const ExamplesInMemory::Memory> ExamplesInMemory::read_all(
    Dataset& data, const std::vector<int64_t>& indices, const Session& session) {
  constexpr ProgramKind kTrain = ProgramKind::train_step;
  auto memory = std::make_shared<Memory>();
  for (int i = 0; const SessionPort input = session.port(kTrain, PortRole::input, i); ++i)
    memory->field_bytes.push_back(bytes_of_one(input.tensor));
  memory->field_bytes.push_back(bytes_of_one(target_of(session)));
  const size_t stride = memory->stride();
  memory->bytes.resize(stride * indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    const auto example = std::span(memory->bytes).subspan(i * stride, stride);
    auto rest = example;
    for (size_t field = 0; field < memory->field_bytes.size(); ++field) {
      const size_t bytes = memory->field_bytes[field];
      const bool is_target = field + 1 == memory->field_bytes.size();
      if (is_target && bytes == 0) break;
      throw_if_error(data.read(indices[i], is_target ? kTargetField : static_cast<int>(field),
                               rest.first(bytes)));
      rest = rest.subspan(bytes);
    }
    memory->names.emplace_back(data.describe(indices[i]));
    memory->weights.push_back(data.weight(indices[i]));
    memory->hashes.push_back(hash64(example));
    // Unweighted examples are the same as ever.
    if (const double& weight = memory->weights.back(); weight != 1)
      memory->hashes.back() ^= hash64(std::as_bytes(std::span(&weight, 1)));
    memory->advantages.push_back(data.advantage(indices[i]));
    if (const double& advantage = memory->advantages.back(); advantage != 1)
      memory->hashes.back() =
          hash64(std::as_bytes(std::span(&advantage, 1)), memory->hashes.back());
  }
  return memory;
}

ExamplesInMemory::ExamplesInMemory(std::shared_ptr<const Memory> memory,
                                   std::vector<int64_t> indices)
    : memory_(std::move(memory)), indices_(std::move(indices)) {
  std::vector<uint64_t> hashes;
  for (int64_t index : indices_) hashes.push_back(memory_->hashes[static_cast<size_t>(index)]);
  hash_ = hash64(std::as_bytes(std::span(hashes)));
}

ExamplesInMemory::ExamplesInMemory(Dataset& data, const std::vector<int64_t>& indices,
                                   const Session& session)
    : ExamplesInMemory(read_all(data, indices, session), counted(std::ssize(indices))) {}

ExamplesInMemory ExamplesInMemory::part(std::vector<int64_t> indices) const {
  for (int64_t& index : indices) index = indices_[static_cast<size_t>(index)];
  return {memory_, std::move(indices)};
}

Status ExamplesInMemory::read(int64_t index, int field, std::span<std::byte> bytes) {
  const auto at = static_cast<size_t>(indices_[static_cast<size_t>(index)]);
  const std::vector<size_t>& sizes = memory_->field_bytes;
  const size_t place = field == kTargetField ? sizes.size() - 1 : static_cast<size_t>(field);
  if (place >= sizes.size() || bytes.size() != sizes[place])
    return Status::error("the plan's examples are not those that were read");
  const size_t before =
      std::accumulate(sizes.begin(), sizes.begin() + static_cast<ptrdiff_t>(place), size_t{0});
  std::memcpy(bytes.data(), memory_->bytes.data() + at * memory_->stride() + before, bytes.size());
  return Status::ok();
}

std::span<const std::byte> ExamplesInMemory::target(int64_t index) const {
  const auto at = static_cast<size_t>(indices_[static_cast<size_t>(index)]);
  return std::span(memory_->bytes)
      .subspan(at * memory_->stride(), memory_->stride())
      .last(memory_->field_bytes.back());
}

std::string_view ExamplesInMemory::describe(int64_t index) {
  return memory_->names[static_cast<size_t>(indices_[static_cast<size_t>(index)])];
}

double ExamplesInMemory::weight(int64_t index) {
  return memory_->weights[static_cast<size_t>(indices_[static_cast<size_t>(index)])];
}

double ExamplesInMemory::advantage(int64_t index) {
  return memory_->advantages[static_cast<size_t>(indices_[static_cast<size_t>(index)])];
}

ExamplesInMemory take_examples(Dataset& data, const Session& session, int64_t count,
                               uint64_t seed) {
  if (target_of(session) && !data.labelled())
    throw_error("--data: the examples have no labels, and nothing to learn");
  if (data.size() < 2)
    throw_error("--data: {} examples are too few to learn from and to judge by; give more",
                data.size());
  // A stream of its own: no epoch has this number.
  std::vector<int64_t> order =
      shuffled(data.size(), Random(seed, std::numeric_limits<uint64_t>::max() - 1));
  order.resize(static_cast<size_t>(std::clamp<int64_t>(count, 2, data.size())));
  return {data, order, session};
}

std::vector<TaskExamples> halves(const ExamplesInMemory& examples) {
  const std::vector<int64_t> all = counted(examples.size());
  const auto split = all.end() - std::ssize(all) / 2;
  const ExamplesInMemory first = examples.part({all.begin(), split});
  const ExamplesInMemory second = examples.part({split, all.end()});
  return {{first, second}, {second, first}};
}

std::vector<TaskExamples> folds(const ExamplesInMemory& examples, int64_t parts, uint64_t seed) {
  const int64_t count = examples.size();
  const std::vector<int64_t> order =
      shuffled(count, Random(seed, std::numeric_limits<uint64_t>::max() - 2));
  std::vector<TaskExamples> made;
  for (int64_t part = 0; part < parts; ++part) {
    const auto first = order.begin() + part * count / parts;
    const auto last = order.begin() + (part + 1) * count / parts;
    std::vector<int64_t> others(order.begin(), first);
    others.insert(others.end(), last, order.end());
    made.push_back({examples.part(std::move(others)), examples.part({first, last})});
  }
  return made;
}

}  // namespace attune
