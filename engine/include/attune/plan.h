#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "attune/allocator.h"
#include "attune/export.h"
#include "attune/preprocess.h"
#include "attune/status.h"

namespace attune {

namespace format {
struct Plan;
struct Program;
}  // namespace format

// The file: this header, the FlatBuffers program, then the segments, each aligned to
// kSegmentAlignment from the start of the file. Little-endian.
inline constexpr char kPlanMagic[8] = {'A', 'T', 'T', 'U', 'N', 'E', 'P', 'L'};
// A runtime reads its own major version and, from version 3 on, the one before: version 1 was never
// released.
inline constexpr uint32_t kPlanMajor = 2;
inline constexpr uint32_t kPlanMinor = 0;  // additions that an older runtime can ignore
inline constexpr size_t kSegmentAlignment = 64;
inline constexpr size_t kTensorAlignment = 64;
// Readable bytes past the end of every segment and of the arena: vector kernels may load them.
inline constexpr size_t kSegmentSlack = 64;

struct PlanHeader {
  char magic[8];
  uint32_t major, minor;
  uint64_t file_bytes;
  uint64_t program_offset, program_bytes;
  uint64_t constants_offset, constants_bytes;
  // The first bytes of `state`; the rest starts as zero.
  uint64_t state_offset, state_bytes;
  uint64_t checksum;  // hash64 of the program and the segments
  uint64_t reserved[6];
};
static_assert(sizeof(PlanHeader) == 128);

// estimate: the statistics of batch norms, from inputs alone.
enum class ProgramKind : uint8_t { train_step = 0, evaluate = 1, predict = 2, estimate = 3 };
inline constexpr int kProgramCount = 4;
constexpr const char* program_name(ProgramKind kind) {
  constexpr const char* kNames[] = {"train_step", "evaluate", "predict", "estimate"};
  return kNames[static_cast<int>(kind)];
}

// FNV-1a over 8-byte words, then bytes: quick, and the same everywhere.
ATTUNE_API uint64_t hash64(std::span<const std::byte> bytes, uint64_t seed = 0xcbf29ce484222325u);

// A verified plan. Every index, size, offset, alignment, arity and shape in it has been checked, so
// that executing it stays inside its memory.
class ATTUNE_API Plan {
 public:
  Plan() = default;
  ~Plan();
  Plan(Plan&& other) noexcept;
  Plan& operator=(Plan&& other) noexcept;

  // Maps and verifies a file.
  static Status load(const char* path, Plan* plan);
  // Verifies a plan in the caller's memory (flash, for one), which must be aligned to
  // kSegmentAlignment and outlive the plan. `name` is used in messages.
  // `allocator` (none: the system) gives memory for a moment, for steps of more than 12 tensors.
  static Status from_memory(std::span<const std::byte> bytes, const char* name, Plan* plan,
                            const Allocator& allocator = {});

  const format::Plan& table() const { return *table_; }
  // Null where the plan has no such program.
  const format::Program* program(ProgramKind kind) const;
  std::span<const std::byte> constants() const { return constants_; }
  std::span<const std::byte> initial_state() const { return initial_state_; }
  Preprocess preprocess() const;
  const char* name() const { return name_; }
  size_t file_bytes() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  bool mapped_ = false;
  char name_[256] = {};
  const format::Plan* table_ = nullptr;
  std::span<const std::byte> constants_, initial_state_;
};

}  // namespace attune
