#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/dataset.h"
#include "engine/session.h"

namespace attune {

// Examples in memory, which several threads may read at once.
class ExamplesInMemory : public Dataset {
 public:
  // Reads `indices` of a dataset, as `session`'s train_step takes them. Throws Error.
  ExamplesInMemory(Dataset& data, const std::vector<int64_t>& indices, const Session& session);

  int64_t size() const override { return count_; }
  bool labelled() const override { return true; }
  Status read(int64_t index, std::span<std::byte> input, std::span<std::byte> target) override;
  std::string_view describe(int64_t index) override;
  // Of all examples, in order.
  uint64_t hash() const { return hash_; }

 private:
  int64_t count_ = 0;
  size_t input_bytes_ = 0, target_bytes_ = 0;
  std::vector<std::byte> bytes_;
  std::vector<std::string> names_;
  uint64_t hash_ = 0;
};

// What sensitivity is measured on: some of the user's examples, to train with and to judge by.
struct TaskExamples {
  std::unique_ptr<ExamplesInMemory> training, validation;
};

// At most `count` examples, chosen and split (half of them for validation) by
// the seed. Throws Error where there are fewer than two.
TaskExamples take_examples(Dataset& data, const Session& session, int64_t count, uint64_t seed);

}  // namespace attune
