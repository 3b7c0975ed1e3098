#include "sparse_update/cost/step_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <type_traits>

#include "kernels/signature.h"

namespace attune {
namespace {

using Text = fmt::memory_buffer;

void add_tensor(Text& text, const Tensor& tensor) {
  if (text.size() > 0) text.push_back(' ');
  if (!tensor) {
    text.push_back('-');
    return;
  }
  fmt::format_to(std::back_inserter(text), "{}:", dtype_name(tensor.dtype));
  for (int i = 0; i < tensor.shape.rank; ++i)
    fmt::format_to(std::back_inserter(text), "{}{}", i ? "x" : "", tensor.shape[i]);
  if (tensor.frozen) text.push_back('*');
}

// Whole numbers and switches that differ from their defaults, and whether anything is clamped. What
// the real attributes are makes no step faster.
void add_attributes(Text& text, Op op, const void* attrs) {
  with_attrs_type(op, [&](auto standard) {
    using Attrs = decltype(standard);
    Attrs given = *static_cast<const Attrs*>(attrs);
    const char* separator = " |";
    int32_t wholes[32];
    int count = 0;
    const auto whole = [](const auto& field) {
      if constexpr (std::is_same_v<std::decay_t<decltype(field)>, double>)
        return int32_t{0};
      else
        return static_cast<int32_t>(field);
    };
    standard.visit([&](const char*, auto& field) { wholes[count++] = whole(field); });
    count = 0;
    given.visit([&](const char* name, auto& field) {
      const int32_t value = whole(field);
      if (value == wholes[count++]) return;
      fmt::format_to(std::back_inserter(text), "{} {}={}", separator, name, value);
      separator = "";
    });
    if constexpr (requires { given.clamps(); })
      if (given.clamps()) fmt::format_to(std::back_inserter(text), "{} clamp", separator);
    return 0;
  });
}

// What sets steps of an operator apart whose times should not be compared.
template <class Attrs>
std::string kind_of(const Signature& row, const Attrs& attrs, const KernelArgs& args) {
  std::string kind;
  if constexpr (requires { attrs.groups; }) {
    const auto [k, axis] = row.place("KH");
    const Shape kernel = (k < row.inputs ? args.input(k) : args.output(k - row.inputs)).shape;
    kind = fmt::format("{}x{}", kernel[axis], kernel[axis + 1]);
    if (attrs.stride_h > 1 || attrs.stride_w > 1) kind += fmt::format("/{}", attrs.stride_h);
    if (attrs.dilation_h > 1 || attrs.dilation_w > 1) kind += " dilated";
    if (row.find("G") != kNoName && attrs.groups > 1) kind += " grouped";
  } else if constexpr (requires { attrs.count_padding; }) {
    return fmt::format("{}x{}/{}", attrs.kernel_h, attrs.kernel_w, attrs.stride_h);
  } else if constexpr (requires { attrs.transpose_a; }) {
    return fmt::format("{}{}", attrs.transpose_a ? 't' : 'n', attrs.transpose_b ? 't' : 'n');
  } else if constexpr (requires { attrs.axes; }) {
    return fmt::format("axes {}", attrs.axes);
  }
  // What is done to the output besides, and operands that a step may lack.
  const auto add = [&](const char* word) {
    kind += fmt::format("{}{}", kind.empty() ? "" : " ", word);
  };
  for (int i = 0; i < row.inputs; ++i) {
    const SignatureOperand& input = row.input(i);
    const Tensor tensor = args.input(i);
    if (input.term && tensor && !tensor.frozen) add("bias");
    if (input.operand_type() != OperandType::places || !tensor) continue;
    if (input.optional)
      add("slice");
    else if constexpr (requires { attrs.axis; })
      if (attrs.axis + 1 == args.input(0).shape.rank) add("last axis");
  }
  if (row.outputs > 1 && row.output(1).operand_type() == OperandType::mask && args.output(1))
    add("mask");
  if (row.inputs == 2 && row.input(1).axes[0].kind == SignatureAxis::rest_or_less)
    add(args.input(0).shape == args.input(1).shape ? "same" : "broadcast");
  return kind;
}

std::string kind_of(Op op, const KernelArgs& args) {
  return with_attrs_type(op, [&](auto type) {
    return kind_of(signature(op), *static_cast<const decltype(type)*>(args.attrs), args);
  });
}

}  // namespace

uint64_t rounded_program_bytes(uint64_t bytes) {
  if (bytes == 0) return 0;
  return static_cast<uint64_t>(
      std::llround(std::exp2(0.5 * std::round(2 * std::log2(static_cast<double>(bytes))))));
}

uint64_t moved_bytes(Op op, const KernelArgs& args) {
  // Of an operand that is read or written at some places only, so much.
  bool updates_some = false, reads_some = op == Op::slice;
  for (int i = 0; i < args.num_inputs; ++i)
    if (args.inputs[i] && signature(op).input(i).operand_type() == OperandType::places)
      (op_info(op).kind == OpKind::update ? updates_some : reads_some) = true;
  const size_t chosen = reads_some     ? args.outputs[0].bytes()
                        : updates_some ? args.inputs[1].bytes()
                                       : 0;
  uint64_t bytes = 0;
  const auto add = [&](const Tensor& tensor, bool some) {
    if (tensor) bytes += some ? std::min(tensor.bytes(), chosen) : tensor.bytes();
  };
  for (int i = 0; i < args.num_inputs; ++i)
    add(args.inputs[i], updates_some || (reads_some && i == 0));
  for (int i = 0; i < args.num_outputs; ++i) add(args.outputs[i], updates_some);
  return bytes;
}

StepWork step_work(Op op, Backend backend, const KernelArgs& args, uint64_t macs) {
  StepWork work{op, backend, kind_of(op, args), "", macs, moved_bytes(op, args)};
  Text text;
  for (int i = 0; i < args.num_inputs; ++i) add_tensor(text, args.inputs[i]);
  const std::string_view arrow = " >";
  text.append(arrow.data(), arrow.data() + arrow.size());
  for (int i = 0; i < args.num_outputs; ++i) add_tensor(text, args.outputs[i]);
  add_attributes(text, op, args.attrs);
  work.shape = fmt::to_string(text);
  return work;
}

}  // namespace attune
