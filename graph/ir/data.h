#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace attune {

class Data;
using DataPtr = std::shared_ptr<const Data>;

// Contents known at compile time: a view of bytes that are shared and never change, in an order of
// its own, and times factors. What no pass computes are the model's own bytes, in every graph and
// layout. Reals are read as doubles whatever they are stored as; integers are 64 bits wide.
class Data {
 public:
  enum class Type : uint8_t { f16, f32, f64, i64 };

  static DataPtr of_reals(std::vector<double> reals);
  static DataPtr of_ints(std::vector<int64_t> ints);
  // `size` elements at `bytes`, which need not be aligned. `owner` keeps them for as long as there
  // is a view of them; without one, the caller does.
  static DataPtr view(Type type, const void* bytes, size_t size, std::shared_ptr<const void> owner);
  static DataPtr copy(Type type, const void* bytes, size_t size);

  // These elements as an array of shape `dims`, transposed: axis i of the result is axis perm[i].
  DataPtr permuted(const std::vector<int64_t>& dims, const std::vector<int>& perm) const;
  // These elements as an array of shape `dims`, broadcast to shape `to`: axes align at the last,
  // and those of size 1 or missing repeat.
  DataPtr broadcast(const std::vector<int64_t>& dims, const std::vector<int64_t>& to) const;
  // Of reals: element i times factors[i / run % factors.size()], in double.
  DataPtr scaled(std::vector<double> factors, size_t run) const;

  size_t size() const { return size_; }
  bool is_real() const { return type_ != Type::i64; }
  // Elements first, first + 1, ..
  void read(size_t first, std::span<double> out) const;
  void read(size_t first, std::span<int64_t> out) const;
  std::vector<double> reals() const;
  std::vector<int64_t> ints() const;
  // Calls f(first, span of doubles) for all reals, some at a time.
  template <class F>
  void each_block(F&& f) const {
    double block[kBlock];
    for (size_t first = 0; first < size_; first += kBlock) {
      const std::span<double> part(block, std::min(kBlock, size_ - first));
      read(first, part);
      f(first, std::span<const double>(part));
    }
  }
  static constexpr size_t kBlock = 4096;

  // Where the bytes are that this is a view of.
  const void* bytes() const { return bytes_; }
  // Whether both are one view of the same bytes, so that their elements are equal.
  bool same_view(const Data& other) const;

 private:
  struct Axis {
    int64_t size, stride;  // in elements
    bool operator==(const Axis&) const = default;
  };

  std::optional<std::vector<int64_t>> strides_of(const std::vector<int64_t>& dims) const;
  void add_axis(int64_t size, int64_t stride);
  DataPtr in_order() const;
  template <class From, class T>
  void read_as(size_t first, std::span<T> out) const;

  Type type_ = Type::f64;
  size_t size_ = 0;
  const std::byte* bytes_ = nullptr;
  std::shared_ptr<const void> owner_;
  // Outermost first, none of size 1, none that goes on where the one inside it ends.
  std::vector<Axis> axes_;
  std::vector<double> factors_;
  size_t run_ = 1;
};

}  // namespace attune
