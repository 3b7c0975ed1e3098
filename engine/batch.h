#pragma once

#include <cstddef>
#include <cstdint>

#include "attune/dataset.h"
#include "attune/session.h"
#include "attune/status.h"

namespace attune {

// The ports of a program that learns or measures (train_step, evaluate; estimate, which needs no
// targets), and how examples get there: a dataset reads straight into the session's memory.
class Batch {
 public:
  // Fails where the program is absent, does not take inputs and a target for each example, or the
  // data is empty, unlabelled or does not fit: example 0 is read to find out.
  static Status bind(const Session& session, ProgramKind kind, Dataset& data, Batch* batch);

  // Reads the examples order[first] .. order[first + count - 1] (`order` null: first, first + 1
  // ...) and their weights; the rest of the batch becomes zeros that weigh nothing. 1 <= count <=
  // size. An error where a weight is none.
  Status fill(Dataset& data, const int32_t* order, int64_t first, int64_t count);

  // What these examples weigh together, each weight as the program takes it: of an example some of
  // whose positions are ignored, that share. NaN where a label cannot be read. May write into the
  // batch.
  double total_weight(Dataset& data, const int32_t* order, int64_t first, int64_t count) const;

  int64_t size() const { return size_; }
  // How many targets an example has: more than one where the model classifies positions.
  int64_t positions() const { return positions_; }

  // What the examples that were last read weigh.
  double weight() const { return weight_; }
  // What the last run computed: the weighted mean loss over the examples, and the weight of the
  // positions that were right (0 where the program does not count).
  double loss() const;
  double correct() const;

 private:
  Status fill_port(Dataset& data, const SessionPort& port, int field, const int32_t* order,
                   int64_t first, int64_t count) const;
  Status read_target(Dataset& data, int64_t example, int64_t place, double* counted) const;
  double rounded_weight(double weight) const;
  // Whether each position of an example has a weight of its own.
  bool weighs_positions() const { return positions_ > 1 && weights_.shape.rank > 1; }

  const Session* session_ = nullptr;
  ProgramKind kind_ = ProgramKind::train_step;
  int64_t size_ = 0, positions_ = 1;
  double weight_ = 0;
  SessionPort target_;
  Tensor weights_, advantages_, loss_, correct_;
};

// Whether what was read for a port (of one example) is within the port's limit; else an error that
// names the example.
Status check_limit(Dataset& data, int64_t example, const SessionPort& port,
                   std::span<const std::byte> bytes);

// The value of a scalar tensor of any number type, and setting one.
double scalar(const Tensor& tensor);
void set_scalar(const Tensor& tensor, double value);

}  // namespace attune
