#include "kernels/custom.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace attune {
namespace {

constexpr int kMaxCustomOperators = 64;
const CustomOperator* registered[kMaxCustomOperators];
int registered_count = 0;

static_assert(std::endian::native == std::endian::little, "names are read as bytes");

}  // namespace

const char* add_custom_operator(const CustomOperator& op) {
  if (op.name == nullptr || op.name[0] == '\0') return "it has no name";
  if (std::strlen(op.name) > kMaxCustomName) return "its name is longer than 47 bytes";
  if (op.infer == nullptr) return "it has no function for the shape of its output";
  if (op.run_f32 == nullptr) return "it has no kernel in f32";
  if (const CustomOperator* known = find_custom_operator(op.name))
    return known == &op ? nullptr : "another operator has this name";
  if (registered_count == kMaxCustomOperators) return "there are 64 operators already";
  registered[registered_count++] = &op;
  return nullptr;
}

const CustomOperator* find_custom_operator(std::string_view name) {
  const auto end = registered + registered_count;
  const auto found =
      std::find_if(registered, end, [&](const CustomOperator* op) { return name == op->name; });
  return found == end ? nullptr : *found;
}

const CustomOperator* find_custom_operator(const CustomAttrs& attrs) {
  return find_custom_operator(custom_name(attrs));
}

CustomAttrs custom_attrs(std::string_view name, std::initializer_list<double> parameters) {
  CustomAttrs attrs;
  std::memcpy(attrs.name, name.data(), std::min<size_t>(name.size(), kMaxCustomName));
  std::copy_n(parameters.begin(), std::min<size_t>(parameters.size(), kMaxCustomParameters),
              attrs.parameters);
  return attrs;
}

std::span<const double> custom_parameters(const KernelArgs& args) {
  return std::span(args.attributes<CustomAttrs>().parameters);
}

std::string_view custom_name(const CustomAttrs& attrs) {
  const char* bytes = reinterpret_cast<const char*>(attrs.name);
  return {bytes, static_cast<size_t>(std::find(bytes, bytes + sizeof(attrs.name), '\0') - bytes)};
}

const char* custom_output(const CustomAttrs& attrs, std::span<const Tensor> inputs, DType real,
                          Shape* output) {
  const CustomOperator* op = find_custom_operator(attrs);
  if (op == nullptr) return "the operator is not registered";
  if (real == DType::f64 && op->run_f64 == nullptr) return "the operator has no kernel in f64";
  *output = {};
  if (const char* wrong = op->infer(inputs, std::span(attrs.parameters), output)) return wrong;
  // What a compiler would give such an output, and may be taken for granted behind it.
  if (output->rank < 0 || output->rank > kMaxRank) return "the output has too many axes";
  // The first axis of what is by example is the batch.
  int32_t examples = -1;
  const auto agrees = [&](const Shape& shape) {
    if (shape.rank < 1) return false;
    if (examples < 0) examples = shape[0];
    return shape[0] == examples;
  };
  for (size_t i = 0; i < inputs.size() && i < 32; ++i)
    if ((op->by_example >> i & 1) != 0 && !agrees(inputs[i].shape))
      return "an input has not the examples on its first axis";
  if (op->by_example != 0 && !op->sums_examples && !agrees(*output))
    return "the output has not the examples on its first axis";
  return nullptr;
}

}  // namespace attune
