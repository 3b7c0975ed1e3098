#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attune/plan.h"
#include "attune/session.h"
#include "engine/format/plan_generated.h"
#include "graph/import/onnx/file/onnx_model.h"
#include "graph/ir/graph.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::test {

// Bytes where plans may lie.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::span<const std::byte> bytes, size_t misalignment = 0);
  std::span<std::byte> bytes() { return {memory_.get() + misalignment_, size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  size_t misalignment_, size_;
  std::unique_ptr<std::byte, Free> memory_;
};

// Options that differ from their defaults in the scheme and what `change` says.
template <class F>
CompileOptions options_with(const std::string& scheme, F&& change) {
  CompileOptions options;
  options.scheme = scheme;
  options.batch = 4;
  change(options);
  return options;
}
inline CompileOptions options_with(const std::string& scheme) {
  return options_with(scheme, [](CompileOptions&) {});
}

// A plan and the memory it lies in. Fails the test where the bytes are no plan.
class LoadedPlan {
 public:
  explicit LoadedPlan(std::span<const std::byte> bytes);
  const Plan& plan() const { return plan_; }
  std::span<std::byte> bytes() { return memory_.bytes(); }

 private:
  AlignedBytes memory_;
  Plan plan_;
};

std::unique_ptr<Session> make_session(const Plan& plan, const SessionOptions& options = {});

// Makes the checksum right again, so that a change is for the verifier to find.
void set_checksum(std::span<std::byte> plan_bytes);

// Another value of a field that is there, in a plan whose bytes are the test's.
template <class T, class Table>
bool set_field(const Table* table, unsigned field, T value) {
  auto* bytes = reinterpret_cast<flatbuffers::Table*>(const_cast<Table*>(table));
  return bytes->SetField<T>(static_cast<flatbuffers::voffset_t>(field), value, T{});
}

// The error of loading a plan that `change(plan)` has altered; empty where it loads.
template <class F>
std::string error_after(std::span<const std::byte> bytes, F&& change) {
  LoadedPlan loaded(bytes);
  change(loaded.plan());
  set_checksum(loaded.bytes());
  Plan again;
  const Status status = Plan::from_memory(loaded.bytes(), "test.att", &again);
  return status ? "" : status.message();
}

// x[N,3,9,9] -> conv 3x3 stride 2, batch norm, clip at 6 -> depthwise 3x3, batch norm, relu -> conv
// 1x1, batch norm -> added to what went into the depthwise layer -> max pool 2x2 -> average ->
// flatten -> gemm -> scores[N,5].
struct ConvnetOptions {
  std::string flatten = "Flatten";  // "Reshape": to [0, -1]
  bool softmax = false;
  std::vector<int64_t> last_reshape = {};  // of the scores; empty: none
  int type = 1;                            // of the classifier's weight: ONNX's number
  bool inputs_listed = false;              // initializers are inputs too, as in old files
  std::string path = "convnet.onnx";
};
OnnxModel convnet(const ConvnetOptions& options = {});

// Fills all inputs of a program: values between -1 and 1, labels in turn, weights 1.
void fill_inputs(Session& session, ProgramKind kind, uint64_t seed);
void train(Session& session, int steps);

// A model beside the repository, or nothing (with a message) where it is not there.
std::optional<OnnxModel> shared_model(const std::string& name);
std::vector<std::string> shared_models();

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace attune::test
