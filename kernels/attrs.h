#pragma once

#include <cstdint>
#include <limits>

#include "attune/shape.h"

// Attributes of operators: plain structs, the same on host and device. `visit` names every field in
// order and is the only description of a struct: the plan writer, the loader, printing and equality
// use it. Reals are double so that a graph in double precision is exact.
namespace attune {

struct NoAttrs {
  template <class V>
  void visit(V&&) {}
};

// The activation that a fused kernel applies last: y = min(max(y, clamp_min), clamp_max).
#define ATTUNE_CLAMP_FIELDS                                         \
  double clamp_min = -std::numeric_limits<double>::infinity();      \
  double clamp_max = std::numeric_limits<double>::infinity();       \
  bool clamps() const {                                             \
    return clamp_min != -std::numeric_limits<double>::infinity() || \
           clamp_max != std::numeric_limits<double>::infinity();    \
  }

// Convolution, depthwise or not. Padding is in elements on each side of the input.
// `input_h`, `input_w` are the forward input's size, which a gradient cannot see otherwise;
// `kernel_h`, `kernel_w` the weight's. Clamp applies to forward operators only.
struct Conv2dAttrs {
  int32_t stride_h = 1, stride_w = 1;
  int32_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int32_t dilation_h = 1, dilation_w = 1;
  int32_t groups = 1;
  int32_t input_h = 0, input_w = 0;
  int32_t kernel_h = 0, kernel_w = 0;
  ATTUNE_CLAMP_FIELDS
  template <class V>
  void visit(V&& v) {
    v("stride_h", stride_h), v("stride_w", stride_w);
    v("pad_top", pad_top), v("pad_left", pad_left);
    v("pad_bottom", pad_bottom), v("pad_right", pad_right);
    v("dilation_h", dilation_h), v("dilation_w", dilation_w);
    v("groups", groups), v("input_h", input_h), v("input_w", input_w);
    v("kernel_h", kernel_h), v("kernel_w", kernel_w);
    v("clamp_min", clamp_min), v("clamp_max", clamp_max);
  }
};

struct LinearAttrs {
  ATTUNE_CLAMP_FIELDS
  template <class V>
  void visit(V&& v) {
    v("clamp_min", clamp_min), v("clamp_max", clamp_max);
  }
};

struct MatmulAttrs {
  bool transpose_a = false, transpose_b = false;
  template <class V>
  void visit(V&& v) {
    v("transpose_a", transpose_a), v("transpose_b", transpose_b);
  }
};

struct BatchNormAttrs {
  double epsilon = 1e-5;
  template <class V>
  void visit(V&& v) {
    v("epsilon", epsilon);
  }
};

// y = factor * x + offset.
struct ScaleAttrs {
  double factor = 1, offset = 0;
  template <class V>
  void visit(V&& v) {
    v("factor", factor), v("offset", offset);
  }
};

struct ClampAttrs {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  template <class V>
  void visit(V&& v) {
    v("min", min), v("max", max);
  }
};

// y = min(max(alpha * x + beta, 0), 1).
struct HardSigmoidAttrs {
  double alpha = 0.2, beta = 0.5;
  template <class V>
  void visit(V&& v) {
    v("alpha", alpha), v("beta", beta);
  }
};

// `count_padding` counts padded elements in the divisor of an average.
struct Pool2dAttrs {
  int32_t kernel_h = 1, kernel_w = 1;
  int32_t stride_h = 1, stride_w = 1;
  int32_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int32_t dilation_h = 1, dilation_w = 1;
  int32_t input_h = 0, input_w = 0;
  bool count_padding = false;
  template <class V>
  void visit(V&& v) {
    v("kernel_h", kernel_h), v("kernel_w", kernel_w);
    v("stride_h", stride_h), v("stride_w", stride_w);
    v("pad_top", pad_top), v("pad_left", pad_left);
    v("pad_bottom", pad_bottom), v("pad_right", pad_right);
    v("dilation_h", dilation_h), v("dilation_w", dilation_w);
    v("input_h", input_h), v("input_w", input_w);
    v("count_padding", count_padding);
  }
};

// Bit i of `axes` is set where axis i is reduced; reduced axes stay, with size 1.
// `mean` divides by the number of elements reduced.
struct ReduceAttrs {
  int32_t axes = 0;
  bool mean = false;
  template <class V>
  void visit(V&& v) {
    v("axes", axes), v("mean", mean);
  }
};

// The gradient of reduce: repeats axes of size 1 up to the output's shape; `mean` divides by the
// number of repeats.
struct BroadcastAttrs {
  bool mean = false;
  template <class V>
  void visit(V&& v) {
    v("mean", mean);
  }
};

// Output axis i is input axis perm[i].
struct TransposeAttrs {
  int32_t perm[kMaxRank] = {0, 1, 2, 3, 4, 5};
  template <class V>
  void visit(V&& v) {
    for (int32_t& p : perm) v("perm", p);
  }
};

struct AxisAttrs {
  int32_t axis = 0;
  template <class V>
  void visit(V&& v) {
    v("axis", axis);
  }
};

// `exclusive` leaves an element out of its own sum; `reverse` sums from the end.
struct CumsumAttrs {
  int32_t axis = 0;
  bool exclusive = false, reverse = false;
  template <class V>
  void visit(V&& v) {
    v("axis", axis), v("exclusive", exclusive), v("reverse", reverse);
  }
};

// Uniform in [0, 1), or of the normal distribution with mean 0 and deviation 1.
struct RandomAttrs {
  int32_t seed = 0;
  bool normal = false;
  template <class V>
  void visit(V&& v) {
    v("seed", seed), v("normal", normal);
  }
};

// Elements start .. start + output size - 1 along `axis`.
struct SliceAttrs {
  int32_t axis = 0, start = 0;
  template <class V>
  void visit(V&& v) {
    v("axis", axis), v("start", start);
  }
};

// Errors up to `delta` count squared, larger ones by their size.
struct HuberAttrs {
  double delta = 1;
  template <class V>
  void visit(V&& v) {
    v("delta", delta);
  }
};

// Optimizers update `w` in place. Where the optional input `indices` is there, only those slices of
// `w` along `axis` change, and the gradient and the optimizer's state are that narrow.
struct SgdAttrs {
  double weight_decay = 0;
  int32_t axis = 0;
  template <class V>
  void visit(V&& v) {
    v("weight_decay", weight_decay), v("axis", axis);
  }
};

struct MomentumAttrs {
  double momentum = 0.9, weight_decay = 0;
  bool nesterov = false;
  int32_t axis = 0;
  template <class V>
  void visit(V&& v) {
    v("momentum", momentum), v("weight_decay", weight_decay);
    v("nesterov", nesterov), v("axis", axis);
  }
};

// `decoupled` is AdamW: weight decay acts on the weight, not on the gradient.
struct AdamAttrs {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  bool decoupled = false;
  int32_t axis = 0;
  template <class V>
  void visit(V&& v) {
    v("beta1", beta1), v("beta2", beta2), v("epsilon", epsilon);
    v("weight_decay", weight_decay), v("decoupled", decoupled), v("axis", axis);
  }
};

// `momentum`: how much of the old averages stays. `positions`: the values that an example has in
// each channel.
struct RunningStatisticsAttrs {
  double momentum = 0.9;
  int32_t positions = 1;
  template <class V>
  void visit(V&& v) {
    v("momentum", momentum), v("positions", positions);
  }
};

// Recurrent layers. `gates`: as many blocks of rows have their weights. Of two directions the
// second one goes from the last step to the first, with `reverse` the first one, too.
struct LstmAttrs {
  static constexpr int32_t gates = 4;
  bool reverse = false;
  template <class V>
  void visit(V&& v) {
    v("reverse", reverse);
  }
};

// `reset_after`: the reset gate scales the hidden product with its bias, and not what is
// multiplied.
struct GruAttrs {
  static constexpr int32_t gates = 3;
  bool reverse = false, reset_after = false;
  template <class V>
  void visit(V&& v) {
    v("reverse", reverse), v("reset_after", reset_after);
  }
};

// `relu` instead of tanh.
struct RnnAttrs {
  static constexpr int32_t gates = 1;
  bool reverse = false, relu = false;
  template <class V>
  void visit(V&& v) {
    v("reverse", reverse), v("relu", relu);
  }
};

// As those of recurrent layers.
struct DirectionAttrs {
  bool reverse = false;
  template <class V>
  void visit(V&& v) {
    v("reverse", reverse);
  }
};

// Which operator of the user's own (kernels/custom.h), and the numbers that it was given. `name` is
// its bytes, four in each, the first in the lowest bits; zeros behind it.
inline constexpr int kMaxCustomName = 47;
inline constexpr int kMaxCustomParameters = 6;
struct CustomAttrs {
  int32_t name[(kMaxCustomName + 1) / 4] = {};
  double parameters[kMaxCustomParameters] = {};
  template <class V>
  void visit(V&& v) {
    for (int32_t& bytes : name) v("name", bytes);
    for (double& parameter : parameters) v("parameters", parameter);
  }
};

// Big enough and aligned for any of the structs above.
inline constexpr int kMaxAttrsBytes = 96;

}  // namespace attune
