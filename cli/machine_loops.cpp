#include "cli/machine_loops.h"

// Compiled with -ffp-contract=fast, so that a product and a sum are one instruction where there is
// one.
namespace attune::cli {
namespace {

#define ATTUNE_INLINE inline __attribute__((always_inline))

template <class T, int bytes>
struct Vector {
  typedef T type __attribute__((vector_size(bytes), may_alias));
};

// Twelve chains hide the latency of two units with four cycles each and more, and leave registers
// for the two factors where there are sixteen.
constexpr int kChains = 12;
constexpr int kRounds = 16;

template <class T, int bytes>
ATTUNE_INLINE void multiply_add(int64_t repeats) {
  using V = typename Vector<T, bytes>::type;
  V a = V{} + static_cast<T>(0.5), b = V{} + static_cast<T>(0.25);
  V c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, c10 = a,
    c11 = a;
  // Unknown to the compiler from here on: twelve chains stay twelve.
#if defined(__x86_64__) && !defined(__clang__)  // which takes no wide vector in a template
#define ATTUNE_HIDE(v) asm volatile("" : "+x"(v))
#elif defined(__aarch64__)
#define ATTUNE_HIDE(v) asm volatile("" : "+w"(v))
#else
#define ATTUNE_HIDE(v) asm volatile("" : "+m"(v))
#endif
#define ATTUNE_EACH(f) f(c0) f(c1) f(c2) f(c3) f(c4) f(c5) f(c6) f(c7) f(c8) f(c9) f(c10) f(c11)
#define ATTUNE_HIDE_LINE(c) ATTUNE_HIDE(c);
#define ATTUNE_STEP(c) c = c * a + b;
  ATTUNE_HIDE(a);
  ATTUNE_HIDE(b);
  ATTUNE_EACH(ATTUNE_HIDE_LINE)
  for (int64_t i = 0; i < repeats; ++i) {
#pragma GCC unroll 16
    for (int round = 0; round < kRounds; ++round) {
      ATTUNE_EACH(ATTUNE_STEP)
    }
  }
  ATTUNE_EACH(ATTUNE_HIDE_LINE)
}

template <class T, int bytes>
constexpr double kOperations = 2.0 * kChains* kRounds* static_cast<double>(bytes) /
                               static_cast<double>(sizeof(T));

template <int bytes>
ATTUNE_INLINE void read_loop(const float* x, size_t count, int64_t repeats) {
  using V = typename Vector<float, bytes>::type;
  constexpr size_t kLanes = bytes / sizeof(float);
  V s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{};
  for (int64_t r = 0; r < repeats; ++r) {
    const V* p = reinterpret_cast<const V*>(x);
    for (size_t i = 0; i < count / kLanes; i += 8) {
      s0 += p[i], s1 += p[i + 1], s2 += p[i + 2], s3 += p[i + 3];
      s4 += p[i + 4], s5 += p[i + 5], s6 += p[i + 6], s7 += p[i + 7];
    }
    asm volatile("" ::: "memory");  // every repeat reads anew
  }
  s0 += s1 + s2 + s3 + s4 + s5 + s6 + s7;
  ATTUNE_HIDE(s0);
}

template <int bytes>
ATTUNE_INLINE void scale_loop(const float* x, float* y, size_t count, int64_t repeats) {
  using V = typename Vector<float, bytes>::type;
  constexpr size_t kLanes = bytes / sizeof(float);
  for (int64_t r = 0; r < repeats; ++r) {
    const V* from = reinterpret_cast<const V*>(x);
    V* to = reinterpret_cast<V*>(y);
    for (size_t i = 0; i < count / kLanes; i += 4) {
      to[i] = from[i] * 0.5f;
      to[i + 1] = from[i + 1] * 0.5f;
      to[i + 2] = from[i + 2] * 0.5f;
      to[i + 3] = from[i + 3] * 0.5f;
    }
    asm volatile("" ::: "memory");
  }
}

// The loops for one instruction set; `target` is a GCC attribute or nothing.
#define ATTUNE_LOOPS(set, text, bytes, target)                                               \
  target void multiply_add_f32_##set(int64_t n) { multiply_add<float, bytes>(n); }           \
  target void multiply_add_f64_##set(int64_t n) { multiply_add<double, bytes>(n); }          \
  target void read_##set(const float* x, size_t n, int64_t r) { read_loop<bytes>(x, n, r); } \
  target void scale_##set(const float* x, float* y, size_t n, int64_t r) {                   \
    scale_loop<bytes>(x, y, n, r);                                                           \
  }                                                                                          \
  constexpr MachineLoops k_##set = {text,                                                    \
                                    multiply_add_f32_##set,                                  \
                                    multiply_add_f64_##set,                                  \
                                    kOperations<float, bytes>,                               \
                                    kOperations<double, bytes>,                              \
                                    read_##set,                                              \
                                    scale_##set};

ATTUNE_LOOPS(baseline, "baseline", 16, )
#if defined(__x86_64__)
ATTUNE_LOOPS(avx2, "avx2+fma", 32, __attribute__((target("avx2,fma"))))
ATTUNE_LOOPS(avx512, "avx512f", 64, __attribute__((target("avx512f"))))
#endif

}  // namespace

const MachineLoops& machine_loops() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return k_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return k_avx2;
#endif
  return k_baseline;
}

}  // namespace attune::cli
