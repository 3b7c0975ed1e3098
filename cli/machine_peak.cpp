#include "cli/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "attune/thread_pool.h"
#include "cli/machine_loops.h"
#include "kernels/start_pool.h"

namespace attune::cli {
namespace {

constexpr int kRuns = 16;
constexpr double kRunSeconds = 3e-3;
constexpr size_t kSizes[] = {size_t{32} << 10, size_t{256} << 10, size_t{1} << 20,  size_t{4} << 20,
                             size_t{16} << 20, size_t{64} << 20,  size_t{256} << 20};
constexpr size_t kAlignment = 64;

template <class F>
double seconds_of(const F& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// How often a thread has to repeat its part so that starting the threads does not count. The
// fastest of a few runs decides, since other programs only ever slow one down.
template <class F>
int64_t enough_repeats(const F& part) {
  int64_t repeats = 1;
  for (; repeats < (int64_t{1} << 40); repeats *= 2) {
    double fastest = seconds_of([&] { part(repeats); });
    for (int i = 0; i < 2; ++i) fastest = std::min(fastest, seconds_of([&] { part(repeats); }));
    if (fastest >= kRunSeconds) break;
  }
  return repeats;
}

// The most that all threads get done in a second, each calling `part(thread, repeats)`, whose one
// repeat does `amount`.
template <class F>
double best_rate(ThreadPool& pool, double amount, const F& part) {
  const int64_t repeats = enough_repeats([&](int64_t n) { part(0, n); });
  const int threads = pool.threads();
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    const double seconds = seconds_of([&] {
      pool.parallel_for(threads, 1, [&](int64_t thread, int64_t) { part(thread, repeats); });
    });
    best = std::max(best, amount * threads * static_cast<double>(repeats) / seconds);
  }
  return best;
}

void check_started(const ThreadPool& pool, int threads) {
  if (!is_started(pool, threads))
    throw std::runtime_error("the system does not give " + std::to_string(threads) +
                             " threads; ask for fewer (--threads)");
}

double measure_compute(const MachineLoops& loops, int threads, DType real) {
  ThreadPool pool(threads);
  check_started(pool, threads);
  const auto loop = real == DType::f64 ? loops.multiply_add_f64 : loops.multiply_add_f32;
  const double operations = real == DType::f64 ? loops.operations_f64 : loops.operations_f32;
  return 1e-9 * best_rate(pool, operations, [&](int64_t, int64_t repeats) { loop(repeats); });
}

void measure_memory(const MachineLoops& loops, int threads, std::vector<MachinePeak::Memory>* all) {
  const size_t room = kSizes[std::size(kSizes) - 1];
  const std::unique_ptr<float, void (*)(void*)> memory(
      static_cast<float*>(std::aligned_alloc(kAlignment, room)), &std::free);
  if (!memory) throw std::bad_alloc();
  std::fill_n(memory.get(), room / sizeof(float), 1.0f);
  ThreadPool pool(threads);
  check_started(pool, threads);
  const auto parts = static_cast<size_t>(pool.threads());
  for (const size_t size : kSizes) {
    // Each thread has a part of its own, of whole blocks.
    const size_t part = size / parts / (2 * kLoopBlock) * (2 * kLoopBlock);
    if (part == 0) continue;
    const size_t floats = part / sizeof(float);
    const auto mine = [&](int64_t thread) {
      return memory.get() + static_cast<size_t>(thread) * floats;
    };
    const auto amount = static_cast<double>(part);
    const double read = best_rate(pool, amount, [&](int64_t thread, int64_t repeats) {
      loops.read(mine(thread), floats, repeats);
    });
    const double copy = best_rate(pool, amount, [&](int64_t thread, int64_t repeats) {
      loops.scale(mine(thread), mine(thread) + floats / 2, floats / 2, repeats);
    });
    all->push_back({part * parts, 1e-9 * read, 1e-9 * copy});
  }
}

}  // namespace

double MachinePeak::gflops() const {
  double best = 0;
  for (const Compute& c : compute) best = std::max(best, c.gflops);
  return best;
}

double MachinePeak::gb_s(size_t bytes) const {
  for (const Memory& m : memory)
    if (m.bytes >= bytes) return m.gb_s();
  return memory.empty() ? 0 : memory.back().gb_s();
}

MachinePeak measure_machine(int threads, DType real) {
  const MachineLoops& loops = machine_loops();
  MachinePeak peak;
  peak.instructions = loops.instructions;
  for (int t = 1; t < threads; t *= 2) peak.compute.push_back({t, measure_compute(loops, t, real)});
  peak.compute.push_back({threads, measure_compute(loops, threads, real)});
  measure_memory(loops, threads, &peak.memory);
  return peak;
}

}  // namespace attune::cli
