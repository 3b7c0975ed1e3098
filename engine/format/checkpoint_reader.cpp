#include "engine/format/checkpoint_reader.h"

#include <cmath>
#include <cstring>

namespace attune::checkpoint {

Status unreadable(const char* name, const ByteSource& source) {
  return Status::error("%s: cannot be read: %s", name, source.why());
}

Status damaged(const char* name, const char* what) {
  return Status::error("%s: is damaged (%s); use another checkpoint", name, what);
}

namespace {

// What newer versions say, of a header that does not. The first had no run that kept its best
// epoch.
void complete(Header& h) {
  if (h.version >= kVersion) return;
  const size_t bytes = kHeaderBytes[h.version - 1];
  std::memset(reinterpret_cast<char*>(&h) + bytes, 0, sizeof(h) - bytes);
  h.best_measured = h.best_epoch > 0 ? 1 : 0;
  const bool keeps_best = h.keep_best == 1 && h.best_step > 0;
  h.kept_apart = keeps_best && h.best_step != h.step ? 1 : 0;
  if (h.kept_apart == 1) {
    h.kept_step = h.best_step;
    h.kept_epoch = h.best_epoch;
    return;
  }
  h.kept_step = h.step;
  h.kept_epoch = h.epoch;
  h.kept_batch = h.batch;
  h.kept_loss_sum = h.loss_sum;
  h.kept_correct_sum = h.correct_sum;
  h.kept_weight_sum = h.weight_sum;
  h.kept_last_loss = h.last_loss;
  h.kept_last_rate = h.last_rate;
}

}  // namespace

Status read_whole(const char* name, ByteSource& source, Header* header) {
  Header& h = *header;
  const uint64_t actual = source.size();
  const size_t present = static_cast<size_t>(std::min<uint64_t>(actual, sizeof(h)));
  if (!source.read_at(0, &h, present)) return unreadable(name, source);
  if (present == 0 || std::memcmp(h.magic, kMagic, std::min(present, sizeof(kMagic))) != 0)
    return Status::error("%s: is not a checkpoint; give a file that attune train has written",
                         name);
  if (present < kHeaderBytes[0])
    return Status::error("%s: is cut short, after %llu bytes; use another checkpoint", name,
                         static_cast<unsigned long long>(actual));
  if (h.version < 1 || h.version > kVersion)
    return Status::error("%s: is a checkpoint of version %u, and this program reads 1 to %u", name,
                         static_cast<unsigned>(h.version), static_cast<unsigned>(kVersion));
  const size_t header_bytes = kHeaderBytes[h.version - 1];
  complete(h);
  if (h.header_bytes != header_bytes || h.file_bytes < header_bytes + sizeof(uint64_t))
    return damaged(name, "its header has impossible sizes");
  if (h.file_bytes != actual)
    return Status::error("%s: has %llu bytes where its header says %llu; use another checkpoint",
                         name, static_cast<unsigned long long>(actual),
                         static_cast<unsigned long long>(h.file_bytes));
  alignas(8) std::byte block[kBlockBytes];
  uint64_t hash = kHashSeed, at = 0, stored = 0;
  const uint64_t end = actual - sizeof(stored);
  for (bool last = false; !last;) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(end - at, kBlockBytes));
    last = part < kBlockBytes;
    if (!source.read_at(at, block, part)) return unreadable(name, source);
    hash = hash64({block, part}, hash);
    at += part;
  }
  if (!source.read_at(end, &stored, sizeof(stored))) return unreadable(name, source);
  if (stored != hash) return damaged(name, "its checksum does not match its content");
  return Status::ok();
}

Status check_real(const char* name, const Header& h, const format::Plan& plan) {
  if (h.real == plan.real()) return Status::ok();
  return Status::error(
      "%s: checkpoint of a plan that computes in %s, and this one computes in %s; "
      "compile the plan in the same type",
      name, h.real == static_cast<uint32_t>(DType::f64) ? "f64" : "f32",
      dtype_name(static_cast<DType>(plan.real())));
}

bool read_elements(Reader& reader, const TensorInfo& tensor, std::byte* state) {
  const size_t size = dtype_bytes(tensor.dtype, 1);
  return for_each_trained_run(tensor, state, [&](std::byte* to, size_t stride, int64_t count) {
    if (stride == size) return reader.read(to, static_cast<size_t>(count) * size);
    for (int64_t i = 0; i < count; ++i, to += stride)
      if (!reader.read(to, size)) return false;
    return true;
  });
}

namespace {

template <class T>
bool check_elements(Reader& reader, uint64_t bytes, bool* finite) {
  for (T element; bytes >= sizeof(T); bytes -= sizeof(T)) {
    if (!reader.read(&element, sizeof(T))) return false;
    *finite = *finite && std::isfinite(element);
  }
  return reader.skip(bytes);
}

}  // namespace

bool check_elements(Reader& reader, const TensorHeader& tensor, bool* finite) {
  *finite = true;
  switch (static_cast<DType>(tensor.dtype)) {
    case DType::f32:
      return check_elements<float>(reader, tensor.bytes, finite);
    case DType::f64:
      return check_elements<double>(reader, tensor.bytes, finite);
    default:
      return reader.skip(tensor.bytes);
  }
}

Status read_info(const char* name, const Header& h, CheckpointInfo* info) {
  CheckpointInfo i;
  i.options.epochs = h.epochs;
  i.options.steps = h.steps;
  i.options.seed = h.seed;
  i.options.shuffle = h.shuffle != 0;
  if (h.schedule_kind > static_cast<uint32_t>(ScheduleKind::cosine) || h.shuffle > 1)
    return damaged(name, "its options have no meaning");
  i.options.schedule.kind = static_cast<ScheduleKind>(h.schedule_kind);
  i.options.schedule.base = h.base_rate;
  i.options.schedule.warmup_steps = h.warmup_steps;
  i.options.schedule.every = h.every;
  i.options.schedule.gamma = h.gamma;
  i.options.schedule.total_steps = h.total_steps;
  i.progress = {h.step,       h.epoch,     h.batch,     h.loss_sum,     h.correct_sum,
                h.weight_sum, h.last_loss, h.last_rate, h.earlier_steps};
  i.dataset_size = h.dataset_size;
  i.keep_best = h.keep_best != 0;
  i.patience = h.patience;
  i.measured_epoch = h.measured_epoch;
  i.best = {h.best_epoch, h.best_step, h.best_loss, h.best_accuracy, h.best_measured != 0};
  i.rollbacks = h.rollbacks;
  i.kept = {h.kept_step,      h.kept_epoch,       h.kept_batch,
            h.kept_loss_sum,  h.kept_correct_sum, h.kept_weight_sum,
            h.kept_last_loss, h.kept_last_rate,   h.earlier_steps};
  if (!check_schedule(i.options.schedule) || h.epochs < 0 || h.steps < 0 || h.step < 0 ||
      h.epoch < 0 || h.batch < 0 || h.dataset_size < 0 || !std::isfinite(h.loss_sum) ||
      !std::isfinite(h.correct_sum) || !std::isfinite(h.weight_sum) ||
      !std::isfinite(h.last_loss) || !std::isfinite(h.last_rate) || h.earlier_steps < 0 ||
      h.keep_best > 1 || h.patience < 0 || h.measured_epoch < 0 || h.best_epoch < 0 ||
      h.best_step < 0 || h.best_step > h.step || std::isnan(h.best_loss) ||
      !std::isfinite(h.best_accuracy) || h.best_measured > 1 || h.kept_apart > 1 ||
      h.rollbacks < 0 || h.kept_step < 0 || h.kept_step > h.step || h.kept_epoch < 0 ||
      h.kept_batch < 0 || !std::isfinite(h.kept_loss_sum) || !std::isfinite(h.kept_correct_sum) ||
      !std::isfinite(h.kept_weight_sum) || !std::isfinite(h.kept_last_loss) ||
      !std::isfinite(h.kept_last_rate))
    return damaged(name, "its options have no meaning");
  *info = i;
  return Status::ok();
}

}  // namespace attune::checkpoint
