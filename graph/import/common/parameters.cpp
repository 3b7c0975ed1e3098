#include "graph/import/common/parameters.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace attune {
namespace {

bool is_number(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A mask that is added: nothing, or so little that a softmax gives nothing.
bool is_mask(const KnownTensor& tensor) {
  constexpr double kLittle = -1e4;
  bool all = true, some = false;
  tensor.data->each_block([&](size_t, std::span<const double> block) {
    for (const double x : block) {
      all = all && (x == 0 || x <= kLittle || !std::isfinite(x));
      some = some || x != 0;
    }
  });
  return all && some;
}

}  // namespace

bool looks_generated(const std::string& name) {
  if (is_number(name) || name.starts_with("onnx::") || name.starts_with("const_")) return true;
  if (name.find("Constant") != std::string::npos) return true;
  constexpr std::string_view kPyTorch = "val_";
  if (name.starts_with(kPyTorch) && is_number(name.substr(kPyTorch.size()))) return true;
  // TensorFlow names an operation's operands: "scale/x:0".
  for (const char* end : {"/x", "/y", "/Const", "/x:0", "/y:0", "/Const:0"})
    if (name.ends_with(end)) return true;
  return false;
}

bool is_parameter(const KnownTensor& tensor, Use use) {
  if (!tensor.view || !tensor.real()) return false;
  const View& view = *tensor.view;
  if (view.mark == Mark::parameter) return true;
  if (view.mark == Mark::buffer) return false;
  if (use == Use::weight) return true;
  return use == Use::operand && view.mark == Mark::none && !looks_generated(view.tensor) &&
         !is_mask(tensor);
}

}  // namespace attune
