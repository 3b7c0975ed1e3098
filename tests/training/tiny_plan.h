#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "attune/plan.h"
#include "attune/session.h"

namespace attune {

// A plan written by hand: logits[N,3] = x[N,4] w^T + b under softmax cross entropy, and its
// gradients. The model has w as [4,3], so that its order is not ours, and b as [1,3].
struct TinyOptions {
  DType real = DType::f32;
  std::string optimizer = "sgd";  // "sgd", "momentum", "adam"
  int train_batch = 4, evaluate_batch = 3;
  bool sliced = false;  // train the classes 0 and 2 of w only
  bool evaluates = true;
  bool keeps_gradients = false;
  std::string weight_name = "fc.weight", model_name = "tiny.onnx";
  uint64_t signature = 77, model_hash = 5;
};

inline constexpr int kTinyFeatures = 4, kTinyClasses = 3;

// The starting values, in our layout w[3,4], b[3].
double tiny_weight(int output, int input);
double tiny_bias(int output);

std::vector<std::byte> tiny_plan_bytes(const TinyOptions& options);

// A plan and its session, with the memory of both.
class Tiny {
 public:
  explicit Tiny(const TinyOptions& options = {});
  Session& session() { return *session_; }
  const Plan& plan() const { return plan_; }

 private:
  std::unique_ptr<std::byte, void (*)(void*)> memory_;
  Plan plan_;
  std::unique_ptr<Session> session_;
};

// `count` examples with features that follow from the index and labels that can be learned from
// them.
class TinyDataset : public Dataset {
 public:
  explicit TinyDataset(int64_t count, DType real = DType::f32) : count_(count), real_(real) {}
  static double feature(int64_t index, int feature);
  static int32_t label(int64_t index);

  int64_t size() const override { return count_; }
  bool labelled() const override { return has_labels; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t index) override;

  bool has_labels = true;
  int64_t broken = -1;       // reading this example fails
  int64_t mislabelled = -1;  // this one has class 3
  double factor = 1;         // of every feature
  std::vector<int64_t> reads;

 private:
  int64_t count_;
  DType real_;
  std::string description_;
};

}  // namespace attune
