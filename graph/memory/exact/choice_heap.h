#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attune {

// Choices by how often they took part in failures, the latest counting most (VSIDS: Moskewicz et
// al., 2001): a heap of those that are still to be made.
class ChoiceHeap {
 public:
  // A new choice, the next number.
  void add(double activity);

  bool empty() const { return heap_.empty(); }
  size_t pop();              // the most active one
  void push(size_t choice);  // does nothing where it is there
  void bump(size_t choice);
  void decay() { increment_ *= kGrowth; }

 private:
  static constexpr size_t kOut = SIZE_MAX;
  static constexpr double kGrowth = 1 / 0.95, kMost = 1e100;

  void set(size_t at, size_t choice) { heap_[at] = choice, place_[choice] = at; }
  void rise(size_t at);
  void sink(size_t at);

  std::vector<double> activity_;
  std::vector<size_t> heap_, place_;
  double increment_ = 1;
};

}  // namespace attune
