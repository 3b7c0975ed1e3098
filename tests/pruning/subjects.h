#pragma once

#include <string>
#include <vector>

#include "graph/import/onnx/file/onnx_model.h"
#include "tests/support/compiled_plan.h"

namespace attune::test {

// A model to prune, with schemes for it.
struct Subject {
  std::string name;
  OnnxModel model;
  bool has_norms = false;
  bool is_large = false;
  std::vector<std::string> schemes;  // as CompileOptions takes them; "full" is not among them
  // Schemes that choose channels, and the same schemes without the choice.
  std::vector<std::pair<std::string, std::string>> sliced;
};

// Small models with odd sizes: convolutions (strided, depthwise, pointwise, grouped), matrix
// products and weights that are used twice; with batch norm and without.
const std::vector<Subject>& small_subjects();

// Models of ../shared/models, as far as they are there.
const std::vector<Subject>& shared_subjects();

// Both.
std::vector<const Subject*> all_subjects();

// "full" and all others; of a large model the last one only, which chooses channels.
std::vector<std::string> session_schemes(const Subject& subject);

struct BackendCase {
  const char* name;
  BackendChoice choice;
};
inline constexpr BackendCase kBackends[] = {{"reference", BackendChoice::reference},
                                            {"eigen", BackendChoice::eigen},
                                            {"simd", BackendChoice::simd},
                                            {"xnnpack", BackendChoice::xnnpack},
                                            {"best", BackendChoice::best}};

CompileOptions compile_options(const std::string& scheme, bool fuse);

// Fills every input of a program with numbers that depend on `step` only. The last example of each
// third batch is absent.
void fill_inputs(const Session& session, ProgramKind kind, int step);

// Runs one training step and gives the gradient of every trained slice, as wide as the slice.
struct NamedGradient {
  const format::Parameter* parameter;
  Tensor tensor;
};
std::vector<NamedGradient> run_gradients(const CompiledPlan& compiled, Session& session);

// Same length, same bits, no NaN.
bool same_bits(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace attune::test
