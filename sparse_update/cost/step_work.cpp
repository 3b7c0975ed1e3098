#include "sparse_update/cost/step_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <type_traits>

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

std::string window_text(int64_t h, int64_t w, const Conv2dAttrs& attrs) {
  std::string text = fmt::format("{}x{}", h, w);
  if (attrs.stride_h > 1 || attrs.stride_w > 1) text += fmt::format("/{}", attrs.stride_h);
  if (attrs.dilation_h > 1 || attrs.dilation_w > 1) text += " dilated";
  return text;
}

std::string convolution_kind(Op op, const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const bool depthwise = op == Op::depthwise_conv2d || op == Op::depthwise_conv2d_grad_input ||
                         op == Op::depthwise_conv2d_grad_weight;
  const bool weight_is_output =
      op == Op::conv2d_grad_weight || op == Op::depthwise_conv2d_grad_weight;
  const Shape w = weight_is_output ? args.output(0).shape : args.input(1).shape;
  std::string kind = window_text(w[depthwise ? 0 : 1], w[depthwise ? 1 : 2], attrs);
  if (!depthwise && attrs.groups > 1) kind += " grouped";
  return kind;
}

// What is done to the output besides the sums.
std::string epilogue_kind(const KernelArgs& args) {
  std::string kind;
  if (const Tensor bias = args.input(2); bias && !bias.frozen) kind += " bias";
  if (args.output(1)) kind += " mask";
  return kind;
}

std::string kind_of(Op op, const KernelArgs& args) {
  switch (op) {
    case Op::conv2d:
    case Op::depthwise_conv2d:
      return convolution_kind(op, args) + epilogue_kind(args);
    case Op::conv2d_grad_input:
    case Op::conv2d_grad_weight:
    case Op::depthwise_conv2d_grad_input:
    case Op::depthwise_conv2d_grad_weight:
      return convolution_kind(op, args);
    case Op::linear:
      return epilogue_kind(args).empty() ? "" : epilogue_kind(args).substr(1);
    case Op::matmul: {
      const auto& attrs = args.attributes<MatmulAttrs>();
      return fmt::format("{}{}", attrs.transpose_a ? 't' : 'n', attrs.transpose_b ? 't' : 'n');
    }
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
      return args.input(0).shape == args.input(1).shape ? "same" : "broadcast";
    case Op::reduce:
      return fmt::format("axes {}", args.attributes<ReduceAttrs>().axes);
    case Op::gather:
      return args.attributes<AxisAttrs>().axis + 1 == args.input(0).shape.rank ? "last axis" : "";
    case Op::concat:
    case Op::clamp:
    case Op::hard_sigmoid:
      return args.output(1) ? "mask" : "";
    case Op::max_pool2d:
    case Op::avg_pool2d:
    case Op::max_pool2d_grad:
    case Op::avg_pool2d_grad: {
      const auto& attrs = args.attributes<Pool2dAttrs>();
      return fmt::format("{}x{}/{}", attrs.kernel_h, attrs.kernel_w, attrs.stride_h);
    }
    case Op::sgd:
    case Op::momentum:
    case Op::adam:
      return args.input(3) ? "slice" : "";
    default:
      return "";
  }
}

}  // namespace

uint64_t rounded_program_bytes(uint64_t bytes) {
  if (bytes == 0) return 0;
  return static_cast<uint64_t>(
      std::llround(std::exp2(0.5 * std::round(2 * std::log2(static_cast<double>(bytes))))));
}

uint64_t moved_bytes(Op op, const KernelArgs& args) {
  const bool reads_some = op == Op::slice || op == Op::gather;
  const bool updates_some =
      (op == Op::sgd || op == Op::momentum || op == Op::adam) && args.input(3);
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
