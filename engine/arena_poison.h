#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attune/allocator.h"
#include "engine/format/plan_generated.h"
#include "engine/platform/memory_block.h"

namespace attune {

// Fills arena memory that no live tensor covers with NaN after every step, so that a read of
// something dead shows, and watches guard bytes around the arena. For tests.
class ArenaPoison {
 public:
  static constexpr size_t kGuardBytes = 64;  // before the arena; behind it the slack is the guard

  static void set_guards(std::span<std::byte> arena);
  static bool guards_intact(std::span<const std::byte> arena);

  // False: out of memory.
  bool create(const format::Program& program, std::span<std::byte> arena,
              const Allocator& allocator);
  void before_run() { fill_dead(step_ = -1); }
  void after_step() { fill_dead(++step_); }

 private:
  // Bytes and the steps after which they must still be there: first .. last - 1. A step counts each
  // time it runs.
  struct Span {
    size_t begin, end;
    int first, last;
  };
  template <class F>
  void for_spans(const format::Program& program, int* written, F&& see) const;
  void fill_dead(int step);

  std::span<std::byte> arena_;
  int step_ = -1;
  size_t span_count_ = 0;
  MemoryBlock spans_;
  MemoryBlock live_;  // one byte for each 64 of the arena
};

}  // namespace attune
