#include "engine/format/step_check.h"

#include <cmath>
#include <new>
#include <type_traits>

#include "kernels/binding.h"

namespace attune {
namespace {

struct Decoder {
  std::span<const int32_t> ints;
  std::span<const double> reals;
  size_t next_int = 0, next_real = 0;
  bool good = true;

  void operator()(const char*, int32_t& field) {
    if (next_int >= ints.size()) return void(good = false);
    field = ints[next_int++];
  }
  void operator()(const char*, bool& field) {
    if (next_int >= ints.size()) return void(good = false);
    const int32_t value = ints[next_int++];
    if (value != 0 && value != 1) good = false;
    field = value == 1;
  }
  void operator()(const char*, double& field) {
    if (next_real >= reals.size()) return void(good = false);
    field = reals[next_real++];
    if (std::isnan(field)) good = false;
  }
};

}  // namespace

bool decode_attrs(Op op, std::span<const int32_t> ints, std::span<const double> reals,
                  void* attrs) {
  Decoder decoder{ints, reals};
  with_attrs_type(op, [&](auto type) {
    using A = decltype(type);
    static_assert(sizeof(A) <= kMaxAttrsBytes && std::is_trivially_copyable_v<A>);
    A* decoded = new (attrs) A();
    decoded->visit(decoder);
  });
  return decoder.good && decoder.next_int == ints.size() && decoder.next_real == reals.size();
}

const char* check_step(Op op, const void* attrs, std::span<const Tensor> inputs,
                       std::span<const Tensor> outputs, DType real) {
  const OpInfo& info = op_info(op);
  if (static_cast<int>(inputs.size()) < info.required_inputs ||
      static_cast<int>(inputs.size()) > info.max_inputs)
    return "wrong number of inputs";
  if (static_cast<int>(outputs.size()) > info.max_outputs) return "wrong number of outputs";
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].data && !input_optional(op, static_cast<int>(i))) return "an input is missing";
  for (size_t o = 0; o < static_cast<size_t>(info.max_outputs); ++o)
    if ((o >= outputs.size() || !outputs[o].data) &&
        !signature(op).output(static_cast<int>(o)).optional)
      return "an output is missing";
  Binding binding(op, attrs, inputs, real);
  if (const char* wrong = binding.bind(&outputs[0].shape)) return wrong;
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (!outputs[o].data) continue;
    const int k = static_cast<int>(inputs.size() + o);
    if (!binding.type_fits(k, outputs[o].dtype)) return "an output has the wrong type";
    if (!binding.shape_fits(k, outputs[o].shape)) return "an output has the wrong shape";
    if (!binding.may_have(static_cast<int>(o))) return "a sum without a mask";
  }
  if (op == Op::top_k && outputs[0].shape.last() > inputs[0].shape.last())
    return "more of the largest than there are";
  return nullptr;
}

}  // namespace attune
