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
          a.pad_top = std::max(0, pad - windows.begin * stride);
          a.pad_bottom = std::max(0, (windows.end - 1) * stride - pad + reach - height);
          if (a.input_h != 0) a.input_h = reads(windows, height).count();
        }
      },
      attrs);
}

std::optional<RowWindows> row_windows(const AnyAttrs& attrs, int kernel_h) {
  return std::visit(
      [&](const auto& a) -> std::optional<RowWindows> {
        if constexpr (requires { a.pad_top; }) {
          if constexpr (!requires { a.groups; }) kernel_h = a.kernel_h;
          const RowWindows windows{a.stride_h, a.dilation_h * (kernel_h - 1) + 1, a.pad_top};
          if (std::max(a.pad_top, a.pad_bottom) >= windows.reach) return std::nullopt;
          return windows;
        }
        return RowWindows{};
      },
      attrs);
}

}  // namespace attune
