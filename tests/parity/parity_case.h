#pragma once

#include <map>
#include <string>
#include <vector>

#include "attune/session.h"
#include "engine/io/npz.h"
#include "graph/training/optimizer.h"

namespace attune::test {

// A slice that PyTorch trained. Its axis is the model's.
struct CaseSlice {
  std::string name;
  int axis = -1;  // -1: all of it
  std::vector<int64_t> channels;
  double f32_error = 0;  // of PyTorch's own f32 gradient, relative, in norm
};

struct CaseOptimizer {
  std::string key;
  Optimizer optimizer;
  double learning_rate = 0;
};

// What make_cases.py wrote into a folder.
class ParityCase {
 public:
  explicit ParityCase(const std::string& folder);

  std::string model, scheme;  // as CompileOptions takes them
  int batch = 0, steps = 0;
  std::vector<int> snapshots;  // steps after which there are parameters
  std::vector<CaseSlice> trained;
  std::vector<CaseOptimizer> optimizers;

  double loss() const { return expected("loss")[0]; }
  std::vector<double> gradient(size_t slice) const;
  std::vector<double> parameter(const std::string& optimizer, int step, size_t slice) const;
  // Fills the inputs of a program with batch `step`, from 0.
  void fill(const Session& session, ProgramKind kind, int step) const;

 private:
  std::vector<double> expected(const std::string& name) const;
  NpzArrays data_, expected_;
};

}  // namespace attune::test
