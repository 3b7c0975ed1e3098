#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "attune/checkpoint.h"
#include "engine/format/parameter_tensor.h"

// What the two halves of the checkpoint code share; nothing here is for other code.
namespace attune::checkpoint {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

inline constexpr char kMagic[8] = {'A', 'T', 'T', 'U', 'N', 'E', 'C', 'K'};
inline constexpr uint32_t kVersion = 3;  // and reads those before
// The checksum: hash64 over blocks of this many bytes, each seeded with the one before. Any
// multiple of 8 gives the same; small ones leave the stack small.
inline constexpr size_t kBlockBytes = 1024;
static_assert(kBlockBytes % 8 == 0);
inline constexpr uint64_t kHashSeed = 0xcbf29ce484222325u;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t header_bytes;
  uint64_t file_bytes;  // all of it, with the checksum
  uint64_t signature;
  uint64_t model_hash;
  uint32_t tensors;
  uint32_t model_name_bytes, optimizer_bytes;  // of the texts that follow the header
  uint32_t real;                               // dtype that the plan computes in
  int64_t epochs, steps;
  uint32_t schedule_kind, shuffle;
  double base_rate;
  int64_t warmup_steps, every;
  double gamma;
  int64_t total_steps;
  uint64_t seed;
  int64_t step, epoch, batch;
  double loss_sum, correct_sum, weight_sum, last_loss, last_rate;
  int64_t dataset_size;
  // From version 2 on.
  int64_t earlier_steps;
  int64_t keep_best, patience, measured_epoch;
  int64_t best_epoch, best_step;
  double best_loss, best_accuracy;
  // From version 3 on; what is read of an older file is completed.
  uint32_t best_measured, kept_apart;
  int64_t rollbacks;
  int64_t kept_step, kept_epoch, kept_batch;
  double kept_loss_sum, kept_correct_sum, kept_weight_sum, kept_last_loss, kept_last_rate;
};
// Of each version, from 1 on.
inline constexpr size_t kHeaderBytes[kVersion] = {200, 264, sizeof(Header)};
static_assert(sizeof(Header) == 344);

// Whether a state is the second of the two that the file holds: where the run stands comes first.
constexpr bool is_second(const Header& h, CheckpointState state) {
  return h.kept_apart == 1 &&
         (state == CheckpointState::kept || (state == CheckpointState::best && h.keep_best == 1));
}

// Then, for each tensor: this, `rank` dims (int64) of the model's tensor, name, slot, elements.
struct TensorHeader {
  uint32_t name_bytes, slot_bytes;
  uint32_t dtype, rank;
  int64_t slice_channels;  // -1: all of it
  uint64_t slice_hash;     // of the channel numbers
  uint64_t bytes;
};
static_assert(sizeof(TensorHeader) == 40);

// A tensor of the checkpoint as the plan defines it, of which the file has what is trained.
struct TensorInfo : ParameterTensor {
  TensorHeader header = {};
};

uint32_t count_tensors(const format::Plan& plan);
TensorInfo describe_tensor(const format::Parameter& parameter, int number);
uint64_t tensor_bytes(const format::Plan& plan);  // that all tensors take in a file

// Calls f(bytes, stride, count) for runs of trained elements in the model's order: `bytes` is where
// the first lies in `state`, and the next ones are `stride` bytes apart. f returns false to stop.
template <class Bytes, class F>
bool for_each_trained_run(const TensorInfo& tensor, Bytes* state, F&& f) {
  const size_t size = dtype_bytes(tensor.dtype, 1);
  return for_each_run(tensor, [&](const ElementRun& run) {
    return !run.trained || f(state + tensor.state_offset + static_cast<size_t>(run.first) * size,
                             static_cast<size_t>(run.stride) * size, run.count);
  });
}

// Copies what may be shown of a file's text: printable ASCII, the rest as '?', cut to fit.
void printable(const char* text, size_t length, char* out, size_t out_bytes);

}  // namespace attune::checkpoint
