#pragma once

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "attune/session.h"

namespace attune {

// Examples in memory, which several threads may read at once.
class ExamplesInMemory : public Dataset {
 public:
  // Reads `indices` of a dataset, as `session`'s train_step takes them. Throws Error.
  ExamplesInMemory(Dataset& data, const std::vector<int64_t>& indices, const Session& session);
  // Some of them, in this order, in the same memory.
  ExamplesInMemory part(std::vector<int64_t> indices) const;

  int64_t size() const override { return std::ssize(indices_); }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t index) override;
  // The bytes of an example's label or target.
  std::span<const std::byte> target(int64_t index) const;
  double weight(int64_t index) override;
  double advantage(int64_t index) override;
  // Of all examples, in order.
  uint64_t hash() const { return hash_; }

 private:
  struct Memory {
    std::vector<size_t> field_bytes;  // of the inputs, then of the target
    std::vector<std::byte> bytes;
    std::vector<std::string> names;
    std::vector<double> weights;     // by example
    std::vector<double> advantages;  // by example
    std::vector<uint64_t> hashes;    // by example

    size_t stride() const {
      return std::accumulate(field_bytes.begin(), field_bytes.end(), size_t{0});
    }
  };

  ExamplesInMemory(std::shared_ptr<const Memory> memory, std::vector<int64_t> indices);
  static std::shared_ptr<const Memory> read_all(Dataset& data, const std::vector<int64_t>& indices,
                                                const Session& session);

  std::shared_ptr<const Memory> memory_;
  std::vector<int64_t> indices_;
  uint64_t hash_ = 0;
};

// Examples to train with, and others to judge by.
struct TaskExamples {
  ExamplesInMemory training, validation;
};

// At most `count` examples, chosen and put in order by the seed. Throws Error where there are fewer
// than two.
ExamplesInMemory take_examples(Dataset& data, const Session& session, int64_t count, uint64_t seed);

// The first half to train with and the second one to judge by, and the other way round.
std::vector<TaskExamples> halves(const ExamplesInMemory& examples);

// Examples in so many parts, shuffled by the seed: each part is once what is judged by, where the
// others are trained with. 2 <= parts <= the number of examples.
std::vector<TaskExamples> folds(const ExamplesInMemory& examples, int64_t parts, uint64_t seed);

}  // namespace attune
