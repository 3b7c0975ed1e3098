#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/random.h"
#include "graph/import/onnx/file/onnx_model.h"
#include "graph/training/loss.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {

// Draws numbers of one case.
class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed, 7) {}
  // One of least .. most.
  int64_t number(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random_.below(static_cast<uint64_t>(most - least + 1)));
  }
  bool chance(int percent) { return number(1, 100) <= percent; }
  template <class T>
  T one_of(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(number(0, static_cast<int64_t>(choices.size()) - 1))];
  }
  double real() { return static_cast<double>(number(-1000, 1000)) / 1000; }

 private:
  Random random_;
};

// A network of a random kind: dense, along time, or over images; and the loss that its output is
// for.
struct RandomNetwork {
  OnnxModel model;
  Loss loss;
  int classes;  // 0 where it learns numbers
};
RandomNetwork random_network(Draw& draw);
// A network of operators of every kind, one behind the other and across.
RandomNetwork random_operators(Draw& draw);

}  // namespace attune::test
