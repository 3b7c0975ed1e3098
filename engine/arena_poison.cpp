#include "engine/arena_poison.h"

#include <algorithm>
#include <cstring>

#include "engine/format/plan_tensor.h"

namespace attune {
namespace {
constexpr size_t kBlock = 64;
constexpr int kGuard = 0xA5, kNan = 0xFF;  // four or eight bytes of 0xFF are a NaN
constexpr int kNever = -2;
}  // namespace

void ArenaPoison::set_guards(std::span<std::byte> arena) {
  std::memset(arena.data() - kGuardBytes, kGuard, kGuardBytes);
  std::memset(arena.data() + arena.size(), kGuard, kSegmentSlack);
}

bool ArenaPoison::guards_intact(std::span<const std::byte> arena) {
  const auto is_guard = [](std::byte b) { return b == std::byte{kGuard}; };
  return std::all_of(arena.data() - kGuardBytes, arena.data(), is_guard) &&
         std::all_of(arena.data() + arena.size(), arena.data() + arena.size() + kSegmentSlack,
                     is_guard);
}

// Calls see(begin, end, first, last) for bytes that must be there after steps first .. last - 1:
// from the step that wrote them to one that reads them, whatever tensors lay there meanwhile.
template <class F>
void ArenaPoison::for_spans(const format::Program& program, int* written, F&& see) const {
  const size_t blocks = (arena_.size() + kBlock - 1) / kBlock;
  const auto tensor_at = [&](int32_t id) -> const format::Tensor* {
    if (id < 0) return nullptr;
    const format::Tensor* t = program.tensors()->Get(static_cast<unsigned>(id));
    return t->segment() == format::Segment::arena ? t : nullptr;
  };
  const auto write = [&](int32_t id, int step, int repetition) {
    const format::Tensor* t = tensor_at(id);
    if (!t) return;
    const size_t begin = offset_in(*t, repetition), end = begin + described_tensor(*t).bytes();
    for (size_t b = begin / kBlock; b * kBlock < end; ++b) {
      // Beside what is written, a block may hold something older.
      const bool all = b * kBlock >= begin && (b + 1) * kBlock <= end;
      if (all || written[b] == kNever) written[b] = step;
    }
  };
  const auto read = [&](int32_t id, int step, int repetition) {
    const format::Tensor* t = tensor_at(id);
    if (!t) return;
    const size_t offset = offset_in(*t, repetition), end = offset + described_tensor(*t).bytes();
    for (size_t b = offset / kBlock; b * kBlock < end;) {
      const size_t begin = b++;
      while (b * kBlock < end && written[b] == written[begin]) ++b;
      if (written[begin] != kNever) see(begin * kBlock, b * kBlock, written[begin], step);
    }
  };
  std::fill_n(written, blocks, kNever);
  for (const format::Port* port : *program.ports())
    if (is_fed(role_of(*port))) write(port->tensor(), -1, 0);
  int runs = 0;
  each_run(program, [&](int s, int repetition) {
    const format::Step& step = *program.steps()->Get(static_cast<unsigned>(s));
    for (int32_t id : list_of(step.inputs())) read(id, runs, repetition);
    for (int32_t id : list_of(step.outputs())) write(id, runs, repetition);
    ++runs;
  });
  for (const format::Port* port : *program.ports())
    if (!is_fed(role_of(*port))) read(port->tensor(), runs, 0);
}

bool ArenaPoison::create(const format::Program& program, std::span<std::byte> arena,
                         const Allocator& allocator) {
  arena_ = arena;
  const size_t blocks = arena.size() / kBlock + 1;
  MemoryBlock written;
  if (!written.allocate(allocator, blocks * sizeof(int)) || !live_.allocate(allocator, blocks))
    return false;
  size_t count = 0;
  for_spans(program, written.as<int>(), [&](size_t, size_t, int, int) { ++count; });
  if (!spans_.allocate(allocator, count * sizeof(Span))) return false;
  for_spans(program, written.as<int>(), [&](size_t begin, size_t end, int first, int last) {
    spans_.as<Span>()[span_count_++] = {begin, end, first, last};
  });
  return true;
}

void ArenaPoison::fill_dead(int step) {
  const size_t blocks = (arena_.size() + kBlock - 1) / kBlock;
  auto* const live = live_.as<uint8_t>();
  std::memset(live, 0, blocks);
  for (size_t i = 0; i < span_count_; ++i) {
    const Span& span = spans_.as<Span>()[i];
    if (span.first > step || span.last <= step) continue;
    for (size_t b = span.begin / kBlock; b * kBlock < span.end; ++b) live[b] = 1;
  }
  for (size_t b = 0; b < blocks; ++b)
    if (!live[b])
      std::memset(arena_.data() + b * kBlock, kNan, std::min(kBlock, arena_.size() - b * kBlock));
}

}  // namespace attune
