#include "engine/format/lacking_operators.h"

#include <algorithm>
#include <cstring>

#include "attune/plan.h"
#include "engine/format/plan_tensor.h"
#include "engine/platform/error_text.h"
#include "kernels/custom.h"
#include "kernels/kernel.h"

namespace attune {
namespace {

// Whether this library lacks what a step runs. Steps that are wrong in another way are not looked
// into: the verifier says what is wrong with them.
bool lacks(const format::Step& step, LackingOperator* lacking) {
  *lacking = {};
  if (step.op() >= kOpCount || step.op_version() != op_info(static_cast<Op>(step.op())).version) {
    lacking->op = step.op();
    lacking->version = step.op_version();
    return true;
  }
  const Op op = static_cast<Op>(step.op());
  if (!is_real(compute_type(step))) return false;
  if (!find_kernel(Backend::reference, op, compute_type(step))) {
    lacking->why = LackingOperator::left_out;
    lacking->op = step.op();
    lacking->type = compute_type(step);
    return true;
  }
  if (op != Op::custom) return false;
  // The name is what comes first of its attributes.
  CustomAttrs attrs;
  const auto ints = list_of(step.ints());
  if (ints.size() < std::size(attrs.name)) return false;
  std::memcpy(attrs.name, ints.data(), sizeof(attrs.name));
  const std::string_view name = custom_name(attrs);
  if (find_custom_operator(name)) return false;
  lacking->why = LackingOperator::not_registered;
  std::copy_n(name.data(), std::min<size_t>(name.size(), kMaxCustomName), lacking->custom);
  return true;
}

}  // namespace

int lacking_operators(const format::Plan& plan, std::span<LackingOperator> found) {
  size_t count = 0;
  if (!plan.programs()) return 0;
  for (const format::Program* program : *plan.programs()) {
    if (program->kind() >= kProgramCount || !program->steps()) continue;
    for (const format::Step* step : *program->steps()) {
      LackingOperator lacking;
      if (!lacks(*step, &lacking)) continue;
      const auto end = found.begin() + static_cast<ptrdiff_t>(count);
      if (std::find(found.begin(), end, lacking) != end) continue;
      if (count == found.size()) return static_cast<int>(count);
      found[count++] = lacking;
    }
  }
  return static_cast<int>(count);
}

void describe(std::span<const LackingOperator> lacking, char* text, size_t bytes) {
  constexpr struct {
    LackingOperator::Why why;
    const char *before, *behind;
  } kKinds[] = {
      {LackingOperator::left_out, "this library was built without ",
       "; build one that has it (ATTUNE_OPERATORS and ATTUNE_TYPES, or "
       "attune_slim_library of this plan)"},
      {LackingOperator::unknown, "this library does not know operator ", "; use a newer runtime"},
      {LackingOperator::not_registered, "the operator ",
       " is not registered in this program; register it before the plan is loaded "
       "(attune/custom_operator.h)"}};
  size_t used = 0;
  text[0] = '\0';
  const auto add = [&](const char* format, auto... values) {
    write_text(text + used, bytes - used, format, values...);
    used += std::strlen(text + used);
  };
  for (const auto& kind : kKinds) {
    int count = 0;
    for (const LackingOperator& each : lacking) {
      if (each.why != kind.why) continue;
      add("%s", count++ > 0 ? ", " : used > 0 ? "; " : "");
      if (count == 1) add("%s", kind.before);
      if (each.why == LackingOperator::left_out)
        add("%s in %s", op_name(static_cast<Op>(each.op)), dtype_name(each.type));
      if (each.why == LackingOperator::unknown)
        add("%u version %u", static_cast<unsigned>(each.op), static_cast<unsigned>(each.version));
      if (each.why == LackingOperator::not_registered) add("%s", each.custom);
    }
    if (count > 0) add("%s", kind.behind);
  }
}

}  // namespace attune
