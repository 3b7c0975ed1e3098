#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/reference/elements.h"
#include "kernels/reference/multiply_add.h"

// What the kernels of recurrent layers share. A few examples in one direction run through all steps
// together, so that a row of the weights is read once for them.
namespace attune::reference {

template <class T>
class Recurrence {
 public:
  // `x`: the operator's first input, [N,T,D,..]; `r`: its weights [D,G*H,H].
  Recurrence(const KernelArgs& args, const Tensor& lengths, bool reverse)
      : steps(args.input(0).shape[1]),
        width(args.input(1).shape[2]),
        rows(args.input(1).shape[1]),
        examples_(args.input(0).shape[0]),
        directions_(args.input(0).shape[2]),
        lengths_(lengths.as<int32_t>()),
        reverse_(reverse),
        pool_(args.pool),
        workspace_(static_cast<T*>(args.workspace)) {}

  const int64_t steps, width, rows;  // T, H, G*H

  // A few examples in one direction, and their part of the workspace.
  struct Block {
    int64_t first, count, direction;
    T* products;       // [count, G*H]
    T* states[3];      // each [count, H]
    const T* weights;  // transposed: [H, G*H]
  };

  // Calls f for every block. `r` is transposed first, where it is given.
  template <class F>
  void for_blocks(const T* r, F&& f) {
    T* const transposed = workspace_;
    if (r != nullptr)
      pool_->parallel_for(directions_ * width, kExamples, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          for (int64_t row = 0; row < rows; ++row)
            transposed[i * rows + row] = r[(i / width * rows + row) * width + i % width];
      });
    T* const states = workspace_ + directions_ * width * rows;
    const int64_t blocks = div_up(examples_, kExamples);
    pool_->parallel_for(blocks * directions_, 1, [&](int64_t task, int64_t) {
      Block block;
      block.direction = task / blocks;
      block.first = task % blocks * kExamples;
      block.count = std::min(kExamples, examples_ - block.first);
      T* part = states + (block.direction * examples_ + block.first) * (rows + 3 * width);
      block.products = part;
      for (int i = 0; i < 3; ++i) block.states[i] = part + block.count * (rows + i * width);
      block.weights = transposed + block.direction * width * rows;
      f(block);
    });
  }

  static size_t workspace_bytes(const KernelArgs& args) {
    const Shape &x = args.input(0).shape, &r = args.input(1).shape;
    const int64_t states = int64_t{x[0]} * x[2] * (r[1] + 3 * r[2]);
    return static_cast<size_t>(r.elements() + states) * sizeof(T);
  }

  // The steps in the order of a direction, or in the opposite one.
  template <class F>
  void each_step(const Block& block, bool back, F&& f) const {
    for (int64_t s = 0; s < steps; ++s) f(reversed(block.direction) != back ? steps - 1 - s : s);
  }

  bool runs(int64_t example, int64_t t) const {
    return lengths_ == nullptr || t < lengths_[example];
  }
  // The step before t of an example, or -1 where t is its first one.
  int64_t before(int64_t example, int64_t t, int64_t direction) const {
    if (!reversed(direction)) return t - 1;
    return t + 1 < steps && runs(example, t + 1) ? t + 1 : -1;
  }

  // The first of `size` elements that belong to a step of an example, or to an example.
  int64_t at(int64_t example, int64_t t, int64_t direction, int64_t size) const {
    return ((example * steps + t) * directions_ + direction) * size;
  }
  int64_t at(int64_t example, int64_t direction, int64_t size) const {
    return (example * directions_ + direction) * size;
  }

  // From and to the tensor [N,D,H] of a block's states: zeros where it is absent.
  void load(const Tensor& from, const Block& block, T* states) const {
    for (int64_t e = 0; e < block.count; ++e) {
      T* row = states + e * width;
      if (from)
        std::copy_n(from.as<T>() + at(block.first + e, block.direction, width), width, row);
      else
        std::fill_n(row, width, T(0));
    }
  }
  void store(const T* states, const Block& block, const Tensor& to) const {
    for (int64_t e = 0; to && e < block.count; ++e)
      std::copy_n(states + e * width, width,
                  to.as<T>() + at(block.first + e, block.direction, width));
  }

 private:
  static constexpr int64_t kExamples = 8;

  bool reversed(int64_t direction) const { return reverse_ || direction == 1; }

  const int64_t examples_, directions_;
  const int32_t* const lengths_;
  const bool reverse_;
  ThreadPool* const pool_;
  T* const workspace_;
};

// y[m,j] += sum over k of a[m,k] * b[k,j], each matrix with the length of its rows in memory.
template <class T>
struct Matrix {
  T* data;
  int64_t length;
};
template <class T>
void add_product(int64_t m, int64_t depth, int64_t columns, Matrix<const T> a, Matrix<const T> b,
                 Matrix<T> y) {
  for (int64_t j = 0; j < columns; j += kLanes<T>) {
    MultiplyAdd<T> p;
    p.rows = m, p.depth = depth, p.width = std::min<int64_t>(kLanes<T>, columns - j);
    p.a = a.data, p.a_row = a.length;
    p.b = b.data + j, p.b_row = b.length;
    p.y = y.data + j, p.y_row = y.length;
    multiply_add(p);
  }
}

// The two biases of a row of weights, each of which is 0 where the tensor [D,2,G*H] is absent.
template <class T>
struct Biases {
  const T* input = nullptr;
  const T* state = nullptr;
  Biases(const Tensor& b, int64_t direction, int64_t rows) {
    if (!b) return;
    input = b.as<T>() + direction * 2 * rows;
    state = input + rows;
  }
  T of_input(int64_t j) const { return input ? input[j] : T(0); }
  T of_state(int64_t j) const { return state ? state[j] : T(0); }
  T both(int64_t j) const { return of_input(j) + of_state(j); }
};

template <class T>
void zero(T* to, int64_t count) {
  if (to) std::fill_n(to, count, T(0));
}

// Where the elements of a step are written, or null.
template <class T>
T* place(const Tensor& tensor, int64_t at) {
  return tensor ? tensor.as<T>() + at : nullptr;
}

}  // namespace attune::reference
