#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attune/session.h"
#include "engine/format/plan_generated.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::test {

// A model compiled, verified and loaded, in memory of its own. Must outlive its sessions.
class CompiledPlan {
 public:
  CompiledPlan(const Model& model, const CompileOptions& options)
      : CompiledPlan(compile(model, options)) {}
  explicit CompiledPlan(Compiled compiled);
  CompiledPlan(const CompiledPlan&) = delete;
  CompiledPlan& operator=(const CompiledPlan&) = delete;

  const Plan& plan() const { return plan_; }
  const PlanContents& contents() const { return contents_; }
  // Throws Error where the session cannot be made.
  std::unique_ptr<Session> session(const SessionOptions& options) const;
  // Whether the plan still has the bytes that were compiled.
  bool intact() const;

  std::vector<const format::Parameter*> parameters() const;
  // Null where the plan trains nothing of that name.
  const format::Parameter* parameter(const std::string& name) const;

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  PlanContents contents_;
  std::vector<std::byte> compiled_;
  std::unique_ptr<std::byte, Free> bytes_;
  Plan plan_;
};

// The elements of a real tensor.
std::vector<double> reals_of(const Tensor& tensor);

// A tensor laid out as a parameter (or a slice of it) is in the plan, its elements in the model's
// order.
std::vector<double> in_model_order(const format::Parameter& parameter, const Tensor& tensor);

// The whole of a trained parameter as it is now, of which a state may hold the trained slice alone.
struct WholeParameter : Tensor {
  WholeParameter(const Plan& plan, std::span<const std::byte> state,
                 const format::Parameter& parameter);
  WholeParameter(const WholeParameter&) = delete;

 private:
  std::vector<std::byte> elements_;
};
inline WholeParameter parameter_tensor(const Session& session, const format::Parameter& parameter) {
  return {session.plan(), session.state(), parameter};
}

// The trained part of a tensor that is laid out as the whole parameter, as narrow as the slice.
std::vector<double> trained_part(const format::Parameter& parameter, const Tensor& whole);

// Whether two tensors as wide as the parameter have the same bits outside the trained slice.
bool same_outside_slice(const format::Parameter& parameter, const Tensor& a, const Tensor& b);

// Throws Error with the message of a status that is none.
void require(const Status& status);

}  // namespace attune::test
