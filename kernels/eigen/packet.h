#pragma once

#include <Eigen/Core>
#include <cstdint>

// Eigen's packets (one SIMD register of the target that the build is for) under short names.
// Products are rounded before they are added, whatever the target: fused instructions would tie the
// bits of a result to the width of the tile that computed it, since scalar tails have none.
namespace attune::eigen {

template <class T>
using Packet = typename Eigen::internal::packet_traits<T>::type;

template <class T>
inline constexpr int kLanes = Eigen::internal::packet_traits<T>::size;

using Eigen::internal::padd;
using Eigen::internal::pmax;
using Eigen::internal::pmin;
using Eigen::internal::pmul;

// Reads or writes aligned memory.
template <class T>
Packet<T> load(const T* p) {
  return Eigen::internal::pload<Packet<T>>(p);
}
template <class T>
Packet<T> load_unaligned(const T* p) {
  return Eigen::internal::ploadu<Packet<T>>(p);
}
template <class T>
void store(T* p, const Packet<T>& v) {
  Eigen::internal::pstore(p, v);
}
template <class T>
void store_unaligned(T* p, const Packet<T>& v) {
  Eigen::internal::pstoreu(p, v);
}
template <class T>
Packet<T> repeat(T v) {
  return Eigen::internal::pset1<Packet<T>>(v);
}

// dst[k * dst_stride + j] = src[j * src_stride + k] for j, k < kLanes. dst is aligned.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
template <class T>
void transpose_square(const T* src, int64_t src_stride, T* dst, int64_t dst_stride) {
  if constexpr (kLanes<T> == 1) {
    *dst = *src;
  } else {
    Eigen::internal::PacketBlock<Packet<T>, kLanes<T>> block;
    for (int j = 0; j < kLanes<T>; ++j) block.packet[j] = load_unaligned(src + j * src_stride);
    Eigen::internal::ptranspose(block);
    for (int k = 0; k < kLanes<T>; ++k) store(dst + k * dst_stride, block.packet[k]);
  }
}
#pragma GCC diagnostic pop

}  // namespace attune::eigen
