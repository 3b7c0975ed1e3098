#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "attune/dataset.h"
#include "attune/plan.h"
#include "engine/random.h"
#include "graph/ir/graph.h"
#include "graph/ir/interpret.h"

namespace attune {

namespace format {
struct Port;
}

// A program's inputs for one run, by port, in the plan's types.
using ProgramInputs = std::map<std::string, HostTensor>;

// Inputs to compare plan and model with: examples of a dataset, or random ones. Every example of a
// batch weighs 1.
class VerifyExamples {
 public:
  // `data` may be null. Throws Error where it is empty.
  VerifyExamples(const Plan& plan, Dataset* data, uint64_t seed);

  // A batch from example `first` on; the data start again where they end.
  ProgramInputs read(ProgramKind kind, int64_t first);
  // The same as the model takes them: in double, images normalized.
  ProgramInputs for_model(const Graph& model, const ProgramInputs& inputs) const;
  // The same for a plan's graph in double.
  static ProgramInputs for_plan(const ProgramInputs& inputs);

 private:
  void read_data(int64_t first, int batch, int field, const format::Port& port, HostTensor* tensor);
  void randomize(const format::Port& port, HostTensor* tensor);
  HostTensor normalized_images(const HostTensor& bytes, const Shape& input) const;

  const Plan& plan_;
  Dataset* data_;
  Random random_;
};

}  // namespace attune
