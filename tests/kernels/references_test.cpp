#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "tests/kernels/samples.h"

// Gradients against those that MindSpore Lite keeps for its own tests (f32, little endian), where
// they lie beside the repository.
namespace attune::test {
namespace {

const std::string kFolder = ATTUNE_SOURCE_DIR "/../shared/data/gradients/mindspore/";

std::vector<char> read_bytes(const std::string& name) {
  std::ifstream file(kFolder + name, std::ios::binary);
  INFO(name);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

Value read(const std::string& name, Shape shape) {
  const std::vector<char> bytes = read_bytes(name);
  Value v(DType::f32, shape);
  INFO(name);
  REQUIRE(bytes.size() == v.bytes());
  std::memcpy(v.data(), bytes.data(), bytes.size());
  return v.as(DType::f64);
}

bool available() {
  if (std::ifstream(kFolder + "README.txt").good()) return true;
  MESSAGE("skipped: no references in ", kFolder);
  return false;
}

// The references are sums in f32 themselves.
void check_close(const Value& a, const Value& b) { CHECK(relative_difference(a, b) < 2e-6); }

Value real(Shape shape) { return Value(DType::f64, shape); }

}  // namespace

TEST_CASE("gradients of conv2d are MindSpore's") {
  if (!available()) return;
  struct Row {
    const char *x, *dy, *w, *dw, *dx;
    ConvCase sizes;
  };
  const Row rows[] = {
      {"convfp32_x_1_28_28_3",
       "convfp32_dy_1_28_28_32",
       "convfp32_w_32_3_3_3",
       "convfp32_dw_32_3_3_3",
       "convfp32_dx_1_28_28_3",
       {"plain", 1, 28, 28, 3, 32, 3, 3, 1, 1, 1, 1, 1, 1}},
      {"convfp32_x_g3_1_28_28_3",
       "convfp32_dy_g3_1_28_28_18",
       "convfp32_w_g3_18_3_3_3",
       "convfp32_dw_g3_18_3_3_3",
       "convfp32_dx_g3_1_28_28_3",
       {"groups", 1, 28, 28, 3, 18, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 3}},
      {"convfp32_x_g3_d2_1_28_28_3",
       "convfp32_dy_g3_d2_1_26_26_18",
       "convfp32_w_g3_d2_18_3_3_3",
       "convfp32_dw_g3_d2_18_3_3_3",
       "convfp32_dx_g3_d2_1_28_28_3",
       {"groups, dilation", 1, 28, 28, 3, 18, 3, 3, 1, 1, 1, 1, 1, 1, 2, 2, 3}},
      {"convfp32_input0_d2_g2_s2_2_4_32_32",
       "convfp32_dy_d2_g2_s2_2_12_15_15",
       "convfp32_w_d2_g2_s2_12_2_3_3",
       "convfp32_dw_d2_g2_s2_12_2_3_3",
       "convfp32_inputdx_d2_g2_s2_2_4_32_32",
       {"groups, dilation, stride", 2, 32, 32, 4, 12, 3, 3, 2, 2, 1, 1, 1, 1, 2, 2, 2}},
  };
  const auto file = [](const char* name) { return std::string("conv/") + name + ".bin"; };
  for (const Row& row : rows) {
    const ConvCase& c = row.sizes;
    INFO(c.name);
    const Conv2dAttrs attrs = c.attrs();
    const Value x = read(file(row.x), c.x()), dy = read(file(row.dy), c.y());
    const Value w = read(file(row.w), c.weight());
    check_close(run1(Op::conv2d_grad_weight, &attrs, {x, dy}, real(c.weight())),
                read(file(row.dw), c.weight()));
    check_close(run1(Op::conv2d_grad_input, &attrs, {dy, w}, real(c.x())),
                read(file(row.dx), c.x()));
  }
}

TEST_CASE("gradients of pooling are MindSpore's") {
  if (!available()) return;
  struct Row {
    const char *name, *dx;
    int n, size, out, stride, pad;
  };
  const Row averages[] = {{"pooling/avgpoolgradfp32_1", "dx", 1, 28, 28, 1, 1},
                          {"pooling/avgpoolgradfp32_1", "dx", 3, 28, 28, 1, 1},
                          {"pooling/avgpoolgradfp32_s2", "dx", 3, 28, 14, 2, 1},
                          {"pooling/avgpoolgradfp32_s3", "dx", 3, 28, 10, 3, 1}};
  const Row largest[] = {{"pooling/maxpoolgradfp32_1", "xgrad", 1, 28, 28, 1, 1},
                         {"pooling/maxpoolgradfp32_1", "xgrad", 3, 28, 28, 1, 1},
                         {"pooling/maxpoolgradfp32_2", "dx", 1, 30, 10, 3, 0},
                         {"pooling/maxpoolgradfp32_s2", "xgrad", 3, 28, 14, 2, 1},
                         {"pooling/maxpoolgradfp32_s3", "xgrad", 3, 28, 10, 3, 1}};
  const auto check = [](const Row& row, bool average) {
    ConvCase c{"", row.n,      row.size,   row.size, 3,       3,       3,
               3,  row.stride, row.stride, row.pad,  row.pad, row.pad, row.pad};
    const std::string name = row.name;
    INFO(name);
    const std::string size = std::to_string(row.n) + "_" + std::to_string(row.size) + "_" +
                             std::to_string(row.size) + "_3.bin";
    // Some names give x's size to dy.
    std::string dy_name = name + "_dy_" + size;
    if (row.pad == 0) dy_name = name + "_dy_1_10_10_3.bin";
    const Shape y{row.n, row.out, row.out, 3};
    const Value x = read(name + "_x_" + size, c.x()), dy = read(dy_name, y);
    const Value dx = read(name + "_" + row.dx + "_" + size, c.x());
    const Pool2dAttrs attrs = c.pool_attrs(true);
    if (average) {
      check_close(run1(Op::avg_pool2d_grad, &attrs, {dy}, real(c.x())), dx);
    } else {
      const Value argmax = run({Op::max_pool2d, &attrs, {x}, {real(y), Value(DType::i32, y)}})[1];
      check_close(run1(Op::max_pool2d_grad, &attrs, {dy, argmax}, real(c.x())), dx);
    }
  };
  for (const Row& row : averages) check(row, true);
  for (const Row& row : largest) check(row, false);
}

TEST_CASE("gradients of activations are MindSpore's") {
  if (!available()) return;
  const auto check = [](const std::string& name, const char* saved, int n,
                        const std::function<Value(const Value&, const Value&)>& gradient) {
    INFO(name);
    const std::string start = "activationGrad/" + name + "_";
    check_close(gradient(read(start + "yt_50.bin", {n}), read(start + saved + "_50.bin", {n})),
                read(start + "out_50.bin", {n}));
  };
  const auto kernel = [](Op op) {
    return [op](const Value& dy, const Value& v) { return run1(op, nullptr, {dy, v}, dy); };
  };
  const auto masked = [](Op op, const void* attrs) {
    return [op, attrs](const Value& dy, const Value& v) {
      const Value mask = run({op, attrs, {v}, {v, Value(DType::mask, v.shape())}})[1];
      return run1(Op::mask_grad, nullptr, {dy, mask}, dy);
    };
  };
  ClampAttrs relu, relu6;
  relu.min = relu6.min = 0, relu6.max = 6;
  const HardSigmoidAttrs hard{1 / 6.0, 0.5};
  const ScaleAttrs sixth{1 / 6.0, 0};
  check("relu", "y", 50, masked(Op::clamp, &relu));
  check("relu6", "y", 50, masked(Op::clamp, &relu6));
  check("tanh", "y", 50, kernel(Op::tanh_grad));
  check("sigmoid", "y", 50, kernel(Op::sigmoid_grad));
  // At the kink x = 3 MindSpore takes the other one-sided derivative, 1.5.
  check("hswish", "x", 10, [&](const Value& dy, const Value& x) {
    Value dx = kernel(Op::hard_swish_grad)(dy, x);
    for (int64_t i = 0; i < dx.size(); ++i)
      if (x.at(i) == 3) dx.set(i, 1.5 * dy.at(i));
    return dx;
  });
  for (const auto& [name, n] : {std::pair{"hsig", 10}, {"hsigmoid", 50}})
    check(name, "x", n, [&](const Value& dy, const Value& x) {
      return run1(Op::scale, &sixth, {masked(Op::hard_sigmoid, &hard)(dy, x)}, dy);
    });
}

TEST_CASE("gradients of softmax, cross entropy, batch norm and biases are MindSpore's") {
  if (!available()) return;
  const Shape s{99, 12};
  check_close(run1(Op::softmax_grad, nullptr,
                   {read("softmax/softmaxgrad_-1_yt_input.bin", s),
                    read("softmax/softmaxgrad_-1_yinput.bin", s)},
                   real(s)),
              read("softmax/softmaxgrad_-1_out.bin", s));

  const ReduceAttrs rows{1, false};
  check_close(run1(Op::reduce, &rows,
                   {read("operators/biasgradfp32_1_dy_10_28_28_7.bin", {7840, 7})}, real({1, 7})),
              read("operators/biasgradfp32_1_db_7.bin", {1, 7}));
  check_close(run1(Op::reduce, &rows, {read("operators/fc_yt.f32", {2, 20})}, real({1, 20})),
              read("operators/fc_b_grad.f32", {1, 20}));

  const BatchNormAttrs attrs{1e-2};
  const Shape x{2, 4, 5, 3}, c{3};
  check_close(run1(Op::batch_norm_grad_gamma, &attrs,
                   {read("bngrad/input_x_2_4_5_3.bin", x), read("bngrad/dy_2_4_5_3.bin", x),
                    read("bngrad/save_mean_3.bin", c), read("bngrad/save_var_3.bin", c)},
                   real(c)),
              read("bngrad/output_dscale_3.bin", c));

  const std::vector<char> bytes = read_bytes("operators/sce_fp32_1_l_6.bin");
  int64_t labels64[6];
  REQUIRE(bytes.size() == sizeof(labels64));
  std::memcpy(labels64, bytes.data(), sizeof(labels64));
  Value labels(DType::i32, {6}), weights(DType::f64, {6});
  for (int i = 0; i < 6; ++i) {
    labels.set(i, static_cast<double>(labels64[i]));
    weights.set(i, 1);
  }
  const std::vector<Value> loss =
      run({Op::softmax_cross_entropy,
           nullptr,
           {read("operators/sce_fp32_1_y_6_4.bin", {6, 4}), labels, weights},
           {real({1}), real({6, 4})}});
  check_close(loss[0], read("operators/sce_fp32_1_loss_1.bin", {1}));
  check_close(
      run1(Op::softmax_cross_entropy_grad, nullptr, {loss[1], labels, weights}, real({6, 4})),
      read("operators/sce_fp32_1_dy_6_4.bin", {6, 4}));
}

}  // namespace attune::test
