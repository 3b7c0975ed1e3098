#pragma once

#include <cstddef>
#include <cstdint>

#include "attune/dataset.h"
#include "attune/session.h"
#include "attune/status.h"

namespace attune {

// The ports of a program that learns or measures (train_step, evaluate), and how examples get
// there: a dataset reads straight into the session's memory.
class Batch {
 public:
  // Fails where the program is absent, does not take one input with a target for each example, or
  // the data is empty, unlabelled or does not fit: example 0 is read to find out.
  static Status bind(const Session& session, ProgramKind kind, Dataset& data, Batch* batch);

  // Reads the examples order[first] .. order[first + count - 1] (`order` null: first, first + 1
  // ...) and weights them 1; the rest of the batch becomes zeros that weigh nothing. 1 <= count <=
  // size.
  Status fill(Dataset& data, const int32_t* order, int64_t first, int64_t count);

  int64_t size() const { return size_; }

  // What the last run computed: the mean loss over the examples, and how many were right (0 where
  // the program does not count).
  double loss() const;
  double correct() const;

 private:
  Status check_label(Dataset& data, int64_t example, const std::byte* label) const;

  int64_t size_ = 0;
  int32_t classes_ = 0;  // > 0: labels are one class an example
  Tensor input_, target_, weights_, loss_, correct_;
  size_t input_bytes_ = 0, target_bytes_ = 0;  // of one example
};

// The value of a scalar tensor of any number type, and setting one.
double scalar(const Tensor& tensor);
void set_scalar(const Tensor& tensor, double value);

}  // namespace attune
