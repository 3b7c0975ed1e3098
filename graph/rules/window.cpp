#include "graph/rules/window.h"

#include <algorithm>
#include <variant>

namespace attune {

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

}  // namespace attune
