#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "attune/status.h"
#include "kernels/dtype.h"
#include "kernels/shape.h"

namespace attune {

// What one example must look like: the plan's input without its batch axis.
struct ExampleSpec {
  std::string_view name;  // the model's input name
  DType dtype = DType::f32;
  Shape shape;
  size_t bytes() const { return dtype_bytes(dtype, static_cast<size_t>(shape.elements())); }
};

// A source of labelled examples that a trainer can read in any order. Readers in engine/io
// implement it; an application may implement its own. `read` may be called for the same index many
// times.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Whether there are labels or targets; without them the data serves prediction only.
  virtual bool labelled() const = 0;
  // Writes example `index`: `input` is ExampleSpec::bytes() long; `target` holds the class as an
  // int32_t, or the regression target in the example's real type. Either may be empty: not wanted.
  virtual Status read(int64_t index, std::span<std::byte> input, std::span<std::byte> target) = 0;
  // Where example `index` comes from, for messages: a path, or "x[17]".
  virtual std::string_view describe(int64_t index) = 0;
};

}  // namespace attune
