#include "engine/arena_poison.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "engine/plan_tensor.h"

namespace attune {
namespace {
constexpr size_t kBlock = 64;
constexpr int kGuard = 0xA5, kNan = 0xFF;  // four or eight bytes of 0xFF are a NaN
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

ArenaPoison::ArenaPoison(const format::Program& program, std::span<std::byte> arena)
    : arena_(arena) {
  const size_t tensors = program.tensors()->size();
  const int steps = static_cast<int>(program.steps()->size());
  spans_.reset(new (std::nothrow) Span[tensors]);
  live_.reset(new (std::nothrow) uint8_t[arena.size() / kBlock + 1]);
  std::unique_ptr<int[]> first(new (std::nothrow) int[tensors]);
  std::unique_ptr<int[]> last(new (std::nothrow) int[tensors]);
  if (!spans_ || !live_ || !first || !last) {
    spans_.reset();
    return;
  }
  constexpr int kNever = -2;
  std::fill_n(first.get(), tensors, kNever);
  std::fill_n(last.get(), tensors, kNever);
  for (int s = 0; s < steps; ++s) {
    const format::Step& step = *program.steps()->Get(static_cast<unsigned>(s));
    for (int32_t id : list_of(step.inputs()))
      if (id >= 0) last[static_cast<size_t>(id)] = s;
    for (int32_t id : list_of(step.outputs()))
      if (id >= 0) {
        first[static_cast<size_t>(id)] = s;
        last[static_cast<size_t>(id)] = std::max(last[static_cast<size_t>(id)], s);
      }
  }
  if (program.inputs())
    for (const format::Port* port : *program.inputs())
      first[static_cast<size_t>(port->tensor())] = -1;
  if (program.outputs())
    for (const format::Port* port : *program.outputs())
      last[static_cast<size_t>(port->tensor())] = steps;

  for (size_t i = 0; i < tensors; ++i) {
    const format::Tensor& t = *program.tensors()->Get(static_cast<unsigned>(i));
    if (t.segment() != format::Segment::arena || last[i] == kNever) continue;
    if (first[i] == kNever) {
      // A view: alive since the last tensor before its use that was made at the same place.
      for (size_t j = 0; j < tensors; ++j) {
        const format::Tensor& other = *program.tensors()->Get(static_cast<unsigned>(j));
        if (other.segment() == t.segment() && other.offset() == t.offset() && first[j] != kNever &&
            first[j] < last[i])
          first[i] = std::max(first[i], first[j]);
      }
    }
    if (first[i] == kNever) continue;
    const size_t begin = t.offset();
    spans_[span_count_++] = {begin, begin + described_tensor(t).bytes(), first[i], last[i]};
  }
}

void ArenaPoison::fill_dead(int step) {
  const size_t blocks = (arena_.size() + kBlock - 1) / kBlock;
  std::memset(live_.get(), 0, blocks);
  for (size_t i = 0; i < span_count_; ++i) {
    const Span& span = spans_[i];
    if (span.first > step || span.last <= step) continue;
    for (size_t b = span.begin / kBlock; b * kBlock < span.end; ++b) live_[b] = 1;
  }
  for (size_t b = 0; b < blocks; ++b)
    if (!live_[b])
      std::memset(arena_.data() + b * kBlock, kNan, std::min(kBlock, arena_.size() - b * kBlock));
}

}  // namespace attune
