#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "attune/dtype.h"
#include "attune/shape.h"
#include "attune/status.h"

namespace attune {

// What one field of an example must look like: a port of the plan without its batch axis.
struct ExampleSpec {
  std::string_view name;  // the model's input name
  DType dtype = DType::f32;
  Shape shape;
  int32_t limit = 0;  // > 0: integers are 0 .. limit - 1
  size_t bytes() const { return dtype_bytes(dtype, static_cast<size_t>(shape.elements())); }
};

// The field that holds an example's label or target.
inline constexpr int kTargetField = -1;
// The label of a position that counts for nothing, of examples with a class for each position.
inline constexpr int32_t kIgnoredLabel = -100;

// A source of examples that a trainer can read in any order. An example has a field for each input
// of the model, numbered in the model's order, and where the data is labelled a target. Readers in
// engine/io implement it; an application may implement its own.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Whether there are labels or targets; without them the data serves prediction only.
  virtual bool labelled() const = 0;
  // Writes a field of example `index`: the model's input number `field`, ExampleSpec::bytes() long,
  // or kTargetField, which is the class as an int32_t (one for each position that the model
  // classifies, kIgnoredLabel where that has none), or the regression target in the plan's real
  // type. May be called for the same example many times.
  virtual Status read(int64_t index, int field, std::span<std::byte> bytes) = 0;
  // Where example `index` comes from, for messages: a path, or "x[17]".
  virtual std::string_view describe(int64_t index) = 0;
  // By how much example `index` counts in losses and means, beside others: finite, at least 0. A
  // batch's loss is sum(weight * loss) / sum(weight), as in PyTorch.
  virtual double weight(int64_t /*index*/) { return 1; }
  // For a plan of the loss policy_gradient, whose labels are actions: by how much the example's
  // action did better than expected (worse: negative), the return less a baseline, say. Finite.
  virtual double advantage(int64_t /*index*/) { return 1; }
  // What whoever gave the data should know, a line each: files that were left out, for example.
  // There may be more of them when examples have been read.
  virtual int note_count() const { return 0; }
  virtual std::string_view note(int /*index*/) const { return {}; }
};

}  // namespace attune
