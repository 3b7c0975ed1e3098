#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "attune/checkpoint.h"
#include "engine/format/plan_generated.h"

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

// A tensor of the checkpoint as the plan defines it.
struct TensorInfo {
  std::string_view name, slot;
  const format::Parameter* parameter = nullptr;
  TensorHeader header = {};
  size_t element_bytes = 0;
  size_t state_offset = 0;
  // The model's order is that of these axes, outermost first; `stride` in elements of our layout.
  int rank = 0;
  int64_t dims[kMaxRank] = {}, stride[kMaxRank] = {};
  // On this axis, index i is channel slice[i] of the parameter; -1: nowhere.
  int slice_axis = -1;
  const int32_t* slice = nullptr;
};

// Tensors of one parameter: its value, then the optimizer's.
int tensors_of(const format::Parameter& parameter);
uint32_t count_tensors(const format::Plan& plan);
TensorInfo describe_tensor(const format::Parameter& parameter, int slot);
uint64_t tensor_bytes(const format::Plan& plan);  // that all tensors take in a file
std::string_view string_of(const flatbuffers::String* text);

// Calls f(first, stride, count) for runs of elements in the model's order: `first` is an element's
// offset in our layout, and the next ones are `stride` elements apart. f returns false to stop.
template <class F>
bool for_each_run(const TensorInfo& tensor, F&& f) {
  const int last = tensor.rank - 1;
  const auto position = [&](int axis, int64_t index) {
    return (axis == tensor.slice_axis ? tensor.slice[index] : index) * tensor.stride[axis];
  };
  int64_t index[kMaxRank] = {};
  for (int axis = 0; axis < tensor.rank; ++axis)
    if (tensor.dims[axis] == 0) return true;
  for (;;) {
    int64_t base = 0;
    for (int axis = 0; axis < last; ++axis) base += position(axis, index[axis]);
    if (tensor.rank == 0) {
      if (!f(base, int64_t{1}, int64_t{1})) return false;
    } else if (last == tensor.slice_axis) {
      for (int64_t i = 0; i < tensor.dims[last]; ++i)
        if (!f(base + position(last, i), int64_t{1}, int64_t{1})) return false;
    } else {
      if (!f(base, tensor.stride[last], tensor.dims[last])) return false;
    }
    int axis = last - 1;
    while (axis >= 0 && ++index[axis] == tensor.dims[axis]) index[axis--] = 0;
    if (axis < 0) return true;
  }
}

// Copies what may be shown of a file's text: printable ASCII, the rest as '?', cut to fit.
void printable(const char* text, size_t length, char* out, size_t out_bytes);

}  // namespace attune::checkpoint
