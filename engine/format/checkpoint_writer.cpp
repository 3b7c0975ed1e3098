#include "engine/format/checkpoint_writer.h"

#include <algorithm>
#include <cstring>

#include "engine/state_check.h"

namespace attune::checkpoint {
namespace {

// Collects blocks, hashes and writes them. After an error it only remembers that.
class Writer {
 public:
  explicit Writer(ByteSink& sink) : sink_(sink) {}

  void put(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const size_t part = std::min(bytes, kBlockBytes - size_);
      std::memcpy(block_ + size_, from, part);
      size_ += part;
      from += part;
      bytes -= part;
      if (size_ == kBlockBytes) flush();
    }
  }

  // Writes what is left, with the checksum behind it. False where anything was not written.
  bool finish() {
    const uint64_t checksum = hash64({reinterpret_cast<std::byte*>(block_), size_}, hash_);
    write(block_, size_);
    write(&checksum, sizeof(checksum));
    return good_;
  }

 private:
  void flush() {
    hash_ = hash64({reinterpret_cast<std::byte*>(block_), size_}, hash_);
    write(block_, size_);
    size_ = 0;
  }

  void write(const void* data, size_t bytes) {
    if (good_ && bytes > 0) good_ = sink_.write(data, bytes);
  }

  ByteSink& sink_;
  bool good_ = true;
  size_t size_ = 0;
  uint64_t hash_ = kHashSeed;
  alignas(8) char block_[kBlockBytes];
};

void put_tensor(Writer& writer, const TensorInfo& tensor, std::span<const std::byte> state) {
  writer.put(&tensor.header, sizeof(tensor.header));
  for (uint32_t i = 0; i < tensor.header.rank; ++i) {
    const int64_t dim = tensor.parameter->model_shape()->Get(i);
    writer.put(&dim, sizeof(dim));
  }
  writer.put(tensor.name.data(), tensor.name.size());
  writer.put(tensor.slot.data(), tensor.slot.size());
  const size_t size = dtype_bytes(tensor.dtype, 1);
  for_each_trained_run(tensor, state.data(),
                       [&](const std::byte* from, size_t stride, int64_t count) {
                         if (stride == size)
                           writer.put(from, static_cast<size_t>(count) * size);
                         else
                           for (int64_t i = 0; i < count; ++i, from += stride)
                             writer.put(from, size);
                         return true;
                       });
}

void put_tensors(Writer& writer, const format::Plan& plan, std::span<const std::byte> state) {
  if (!plan.parameters()) return;
  for (const format::Parameter* parameter : *plan.parameters())
    for (int i = 0; i < tensors_of(*parameter); ++i)
      put_tensor(writer, describe_tensor(*parameter, i), state);
}

Header make_header(const format::Plan& plan, const CheckpointInfo& info, bool kept_apart) {
  const TrainOptions& options = info.options;
  const TrainProgress& progress = info.progress;
  Header h = {};
  std::memcpy(h.magic, kMagic, sizeof(kMagic));
  h.version = kVersion;
  h.header_bytes = sizeof(Header);
  h.file_bytes = sizeof(Header) + string_of(plan.model_name()).size() +
                 string_of(plan.optimizer()).size() + sizeof(uint64_t);
  h.signature = plan.signature();
  h.model_hash = plan.model_hash();
  h.tensors = count_tensors(plan);
  h.model_name_bytes = static_cast<uint32_t>(string_of(plan.model_name()).size());
  h.real = plan.real();
  h.optimizer_bytes = static_cast<uint32_t>(string_of(plan.optimizer()).size());
  h.epochs = options.epochs;
  h.steps = options.steps;
  h.schedule_kind = static_cast<uint32_t>(options.schedule.kind);
  h.shuffle = options.shuffle ? 1 : 0;
  h.base_rate = options.schedule.base;
  h.warmup_steps = options.schedule.warmup_steps;
  h.every = options.schedule.every;
  h.gamma = options.schedule.gamma;
  h.total_steps = options.schedule.total_steps;
  h.seed = options.seed;
  h.step = progress.step;
  h.epoch = progress.epoch;
  h.batch = progress.batch;
  h.loss_sum = progress.loss_sum;
  h.correct_sum = progress.correct_sum;
  h.weight_sum = progress.weight_sum;
  h.last_loss = progress.last_loss;
  h.last_rate = progress.last_rate;
  h.dataset_size = info.dataset_size;
  h.earlier_steps = progress.earlier_steps;
  h.keep_best = info.keep_best ? 1 : 0;
  h.patience = info.patience;
  h.measured_epoch = info.measured_epoch;
  h.best_epoch = info.best.epoch;
  h.best_step = info.best.step;
  h.best_loss = info.best.loss;
  h.best_accuracy = info.best.accuracy;
  h.best_measured = info.best.measured ? 1 : 0;
  h.kept_apart = kept_apart ? 1 : 0;
  h.rollbacks = info.rollbacks;
  const TrainProgress& kept = kept_apart ? info.kept : progress;
  h.kept_step = kept.step;
  h.kept_epoch = kept.epoch;
  h.kept_batch = kept.batch;
  h.kept_loss_sum = kept.loss_sum;
  h.kept_correct_sum = kept.correct_sum;
  h.kept_weight_sum = kept.weight_sum;
  h.kept_last_loss = kept.last_loss;
  h.kept_last_rate = kept.last_rate;
  h.file_bytes += tensor_bytes(plan) * (kept_apart ? 2 : 1);
  return h;
}

}  // namespace

Status begin_checkpoint(const char* name, const format::Plan& plan,
                        std::span<const std::byte> state, const CheckpointInfo& info,
                        std::span<const std::byte> kept, Header* header) {
  const bool needed = info.keep_best && info.best.measured && info.best.step != info.progress.step;
  if (kept.size() != state.size() && (needed || !kept.empty()))
    return Status::error("%s: the state that the run keeps is not given, or is of another plan",
                         name);
  if (const Status status = check_finite(plan, state); !status)
    return Status::error(
        "%s: training has diverged, and no checkpoint is written; lower the learning rate, or warm "
        "it up",
        status.message());
  const bool apart = !kept.empty() && std::memcmp(kept.data(), state.data(), kept.size()) != 0;
  *header = make_header(plan, info, apart);
  return Status::ok();
}

bool write_checkpoint(ByteSink& sink, const Header& header, const format::Plan& plan,
                      std::span<const std::byte> state, std::span<const std::byte> kept) {
  if (!sink.begin(header.file_bytes)) return false;
  Writer writer(sink);
  writer.put(&header, sizeof(header));
  writer.put(string_of(plan.model_name()).data(), header.model_name_bytes);
  writer.put(string_of(plan.optimizer()).data(), header.optimizer_bytes);
  put_tensors(writer, plan, state);
  if (header.kept_apart == 1) put_tensors(writer, plan, kept);
  return writer.finish();
}

}  // namespace attune::checkpoint
