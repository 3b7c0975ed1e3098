#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

struct Pads {
  Dims before, after;
  Dims padded;  // the output's shape
};

// Of [rank,2] numbers, none negative.
Pads pads_of(const TfliteNode& n) {
  const Dims numbers = n.ints(1, "paddings");
  if (numbers.size() != 2 * n.dims(0).size())
    n.fail("{} paddings of {} axes", numbers.size(), n.rank(0));
  Pads pads;
  pads.padded = n.dims(0);
  for (size_t i = 0; i < n.dims(0).size(); ++i) {
    pads.before.push_back(numbers[2 * i]);
    pads.after.push_back(numbers[2 * i + 1]);
    for (const int64_t pad : {pads.before[i], pads.after[i]})
      if (pad < 0 || pad > kMaxComputedElements) n.fail("a padding of {}", pad);
    pads.padded[i] += pads.before[i] + pads.after[i];
  }
  return pads;
}

// Images are padded as images, so that what reads them takes the padding over.
void emit_pad(TfliteNode& n, const Pads& pads, const char* mode, double value) {
  if (n.is_known(0)) n.fail("its input is a constant; convert the model with constants folded");
  const auto padded = [&](const std::string& x, const Dims& axes) {
    Dims amounts = Dims(axes.size(), 0), after = amounts;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] < 0) continue;
      amounts[i] = pads.before[static_cast<size_t>(axes[i])];
      after[i] = pads.after[static_cast<size_t>(axes[i])];
    }
    amounts.insert(amounts.end(), after.begin(), after.end());
    std::vector<std::string> inputs = {x, n.ints(amounts)};
    if (value != 0) inputs.push_back(n.real(value));
    return n.emit("Pad", inputs, {{"mode", mode}});
  };
  const bool batch = n.rank(0) > 0 && n.dims(0)[0] == 1 && pads.padded[0] == 1;
  if (batch && n.rank(0) == 4)
    return n.set_image(0, padded(n.image(0), {-1, 3, 1, 2}), pads.padded);
  Dims axes = {-1};
  for (int i = batch ? 1 : 0; i < n.rank(0); ++i) axes.push_back(i);
  n.set(0, padded(n.value(0, batch ? example(n.dims(0)) : n.dims(0)), axes), pads.padded,
        batch ? example(pads.padded) : pads.padded);
}

}  // namespace

void translate_PAD(TfliteNode& n) { emit_pad(n, pads_of(n), "constant", 0); }

void translate_PADV2(TfliteNode& n) {
  emit_pad(n, pads_of(n), "constant", scalar(n.known(2, "value")));
}

// What SYMMETRIC repeats with the edge itself is, for one element, the edge.
void translate_MIRROR_PAD(TfliteNode& n) {
  const auto mode = n.options(n.op().builtin_options_as_MirrorPadOptions()).mode();
  const Pads pads = pads_of(n);
  const bool reflect = mode == tflite::MirrorPadMode::REFLECT;
  for (size_t i = 0; i < pads.before.size(); ++i) {
    const int64_t most = std::max(pads.before[i], pads.after[i]);
    if (reflect ? most >= n.dims(0)[i] && most > 0 : most > 1)
      n.fail("a {} padding of {}", reflect ? "reflected" : "symmetric", most);
  }
  emit_pad(n, pads, reflect ? "reflect" : "edge", 0);
}

}  // namespace attune
