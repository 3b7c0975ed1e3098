#include "graph/rules/window.h"

#include <algorithm>
#include <limits>
#include <variant>

namespace attune {
namespace {

struct Axis {
  const char* name;
  int32_t size, kernel, stride, pad_before, pad_after, dilation;
};

int32_t output_size(const InferContext& context, const Axis& a) {
  if (a.kernel < 1) context.fail("kernel of {} {}", a.name, a.kernel);
  if (a.stride < 1) context.fail("stride {} along the {}", a.stride, a.name);
  if (a.dilation < 1) context.fail("dilation {} along the {}", a.dilation, a.name);
  if (a.pad_before < 0 || a.pad_after < 0)
    context.fail("negative padding {}, {} along the {}", a.pad_before, a.pad_after, a.name);
  const int64_t window = static_cast<int64_t>(a.dilation) * (a.kernel - 1) + 1;
  const int64_t padded = static_cast<int64_t>(a.size) + a.pad_before + a.pad_after;
  if (padded > std::numeric_limits<int32_t>::max())
    context.fail("padding {}, {} along the {} is too large", a.pad_before, a.pad_after, a.name);
  if (window > padded)
    context.fail("a window of {} {} does not fit into the padded image of {} {}", a.name, window,
                 a.name, padded);
  return static_cast<int32_t>((padded - window) / a.stride + 1);
}

// Every window of the axis has an element inside the image.
void check_covered(const InferContext& context, const Axis& a, int32_t outputs) {
  for (int64_t o = 0; o < outputs; ++o) {
    const int64_t first = o * a.stride - a.pad_before;
    // The first tap at or after 0.
    int64_t tap = first;
    if (tap < 0) tap += (-tap + a.dilation - 1) / a.dilation * a.dilation;
    if (tap >= a.size || tap > first + static_cast<int64_t>(a.dilation) * (a.kernel - 1))
      context.fail("window {} along the {} sees only padding", o, a.name);
  }
}

template <class A>
void check_agrees(const InferContext& context, const A& attrs, int32_t h, int32_t w) {
  if ((attrs.input_h != 0 && attrs.input_h != h) || (attrs.input_w != 0 && attrs.input_w != w))
    context.fail("the attributes are for an image of {}x{}, not {}x{}", attrs.input_h,
                 attrs.input_w, h, w);
}

}  // namespace

Conv2dAttrs with_sizes(Conv2dAttrs attrs, const Shape& x, int kernel_h, int kernel_w) {
  attrs.input_h = x[1];
  attrs.input_w = x[2];
  attrs.kernel_h = kernel_h;
  attrs.kernel_w = kernel_w;
  return attrs;
}

Pool2dAttrs with_sizes(Pool2dAttrs attrs, const Shape& x) {
  attrs.input_h = x[1];
  attrs.input_w = x[2];
  return attrs;
}

Conv2dAttrs without_clamp(Conv2dAttrs attrs) {
  attrs.clamp_min = Conv2dAttrs{}.clamp_min;
  attrs.clamp_max = Conv2dAttrs{}.clamp_max;
  return attrs;
}

OutputSize window_output(const InferContext& context, const Conv2dAttrs& attrs, int32_t h,
                         int32_t w, int32_t kernel_h, int32_t kernel_w) {
  check_agrees(context, attrs, h, w);
  if ((attrs.kernel_h != 0 && attrs.kernel_h != kernel_h) ||
      (attrs.kernel_w != 0 && attrs.kernel_w != kernel_w))
    context.fail("the attributes are for a kernel of {}x{}, not {}x{}", attrs.kernel_h,
                 attrs.kernel_w, kernel_h, kernel_w);
  return {output_size(context, {"height", h, kernel_h, attrs.stride_h, attrs.pad_top,
                                attrs.pad_bottom, attrs.dilation_h}),
          output_size(context, {"width", w, kernel_w, attrs.stride_w, attrs.pad_left,
                                attrs.pad_right, attrs.dilation_w})};
}

OutputSize window_output(const InferContext& context, const Pool2dAttrs& attrs, int32_t h,
                         int32_t w) {
  check_agrees(context, attrs, h, w);
  const Axis rows = {
      "height",        h, attrs.kernel_h, attrs.stride_h, attrs.pad_top, attrs.pad_bottom,
      attrs.dilation_h};
  const Axis columns = {
      "width",         w, attrs.kernel_w, attrs.stride_w, attrs.pad_left, attrs.pad_right,
      attrs.dilation_w};
  const OutputSize size = {output_size(context, rows), output_size(context, columns)};
  check_covered(context, rows, size.h);
  check_covered(context, columns, size.w);
  return size;
}

Rows RowWindows::reads(Rows windows, int height) const {
  return {std::clamp(windows.begin * stride - pad, 0, height),
          std::clamp((windows.end - 1) * stride - pad + reach, 0, height)};
}

void RowWindows::cut_attrs(AnyAttrs& attrs, Rows windows, int height) const {
  std::visit(
      [&](auto& a) {
        if constexpr (requires { a.pad_top; }) {
          (axis == 1 ? a.pad_top : a.pad_left) = std::max(0, pad - windows.begin * stride);
          (axis == 1 ? a.pad_bottom : a.pad_right) =
              std::max(0, (windows.end - 1) * stride - pad + reach - height);
          auto& size = axis == 1 ? a.input_h : a.input_w;
          if (size != 0) size = reads(windows, height).count();
        }
      },
      attrs);
}

std::optional<RowWindows> row_windows(const AnyAttrs& attrs, int kernel, int axis) {
  return std::visit(
      [&](const auto& a) -> std::optional<RowWindows> {
        if constexpr (requires { a.pad_top; }) {
          const bool rows = axis == 1;
          if constexpr (!requires { a.groups; }) kernel = rows ? a.kernel_h : a.kernel_w;
          const int stride = rows ? a.stride_h : a.stride_w;
          const int dilation = rows ? a.dilation_h : a.dilation_w;
          const int before = rows ? a.pad_top : a.pad_left;
          const int after = rows ? a.pad_bottom : a.pad_right;
          const RowWindows windows{stride, dilation * (kernel - 1) + 1, before, axis};
          if (std::max(before, after) >= windows.reach) return std::nullopt;
          return windows;
        }
        return RowWindows{};
      },
      attrs);
}

void check_input_size(const InferContext& context, int32_t h, int32_t w) {
  if (h < 1 || w < 1) context.fail("the attributes give no image size ({}x{})", h, w);
}

void check_kernel_size(const InferContext& context, int32_t h, int32_t w) {
  if (h < 1 || w < 1) context.fail("the attributes give no kernel size ({}x{})", h, w);
}

}  // namespace attune
