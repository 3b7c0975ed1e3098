#include "engine/format/checkpoint_reader.h"

#include <errno.h>

#include <cmath>

namespace attune::checkpoint {

Status unreadable(const char* path) {
  return Status::error("%s: cannot be read: %s", path, errno ? strerror(errno) : "it ends early");
}

Status damaged(const char* path, const char* what) {
  return Status::error("%s: is damaged (%s); use another checkpoint", path, what);
}

namespace {

Status check_whole(const char* path, int fd, uint64_t actual, Header* header) {
  Header& h = *header;
  const size_t present = static_cast<size_t>(std::min<uint64_t>(actual, sizeof(h)));
  if (!read_at(fd, 0, &h, present)) return unreadable(path);
  if (present == 0 || memcmp(h.magic, kMagic, std::min(present, sizeof(kMagic))) != 0)
    return Status::error("%s: is not a checkpoint; give a file that attune train has written",
                         path);
  if (present < kFirstHeaderBytes)
    return Status::error("%s: is cut short, after %llu bytes; use another checkpoint", path,
                         static_cast<unsigned long long>(actual));
  // Version 1 had no more, and no run kept its best epoch.
  if (h.version == 1)
    memset(reinterpret_cast<char*>(&h) + kFirstHeaderBytes, 0, sizeof(h) - kFirstHeaderBytes);
  else if (h.version != kVersion)
    return Status::error("%s: is a checkpoint of version %u, and this program reads 1 to %u", path,
                         h.version, kVersion);
  const size_t header_bytes = h.version == 1 ? kFirstHeaderBytes : sizeof(h);
  if (h.header_bytes != header_bytes || h.file_bytes < header_bytes + sizeof(uint64_t))
    return damaged(path, "its header has impossible sizes");
  if (h.file_bytes != actual)
    return Status::error("%s: has %llu bytes where its header says %llu; use another checkpoint",
                         path, static_cast<unsigned long long>(actual),
                         static_cast<unsigned long long>(h.file_bytes));
  alignas(8) std::byte block[kBlockBytes];
  uint64_t hash = kHashSeed, at = 0, stored = 0;
  const uint64_t end = actual - sizeof(stored);
  for (bool last = false; !last;) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(end - at, kBlockBytes));
    last = part < kBlockBytes;
    if (!read_at(fd, at, block, part)) return unreadable(path);
    hash = hash64({block, part}, hash);
    at += part;
  }
  if (!read_at(fd, end, &stored, sizeof(stored))) return unreadable(path);
  if (stored != hash) return damaged(path, "its checksum does not match its content");
  return Status::ok();
}

}  // namespace

Status open_whole(const char* path, File* file, Header* header) {
  uint64_t actual = 0;
  unsigned mode = 0;
  ATTUNE_RETURN_IF_ERROR(open_existing(path, &file->fd, &actual, &mode));
  if (file->fd < 0) return Status::error("%s: there is no such file", path);
  return check_whole(path, file->fd, actual, header);
}

Status check_real(const char* path, const Header& h, const format::Plan& plan) {
  if (h.real == plan.real()) return Status::ok();
  return Status::error(
      "%s: checkpoint of a plan that computes in %s, and this one computes in %s; "
      "compile the plan in the same type",
      path, h.real == static_cast<uint32_t>(DType::f64) ? "f64" : "f32",
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

Status read_info(const char* path, const Header& h, CheckpointInfo* info) {
  CheckpointInfo i;
  i.options.epochs = h.epochs;
  i.options.steps = h.steps;
  i.options.seed = h.seed;
  i.options.shuffle = h.shuffle != 0;
  if (h.schedule_kind > static_cast<uint32_t>(ScheduleKind::cosine) || h.shuffle > 1)
    return damaged(path, "its options have no meaning");
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
  i.best = {h.best_epoch, h.best_step, h.best_loss, h.best_accuracy};
  if (!check_schedule(i.options.schedule) || h.epochs < 0 || h.steps < 0 || h.step < 0 ||
      h.epoch < 0 || h.batch < 0 || h.dataset_size < 0 || !std::isfinite(h.loss_sum) ||
      !std::isfinite(h.correct_sum) || !std::isfinite(h.weight_sum) ||
      !std::isfinite(h.last_loss) || !std::isfinite(h.last_rate) || h.earlier_steps < 0 ||
      h.keep_best > 1 || h.patience < 0 || h.measured_epoch < 0 || h.best_epoch < 0 ||
      h.best_step < 0 || h.best_step > h.step || !std::isfinite(h.best_loss) ||
      !std::isfinite(h.best_accuracy))
    return damaged(path, "its options have no meaning");
  *info = i;
  return Status::ok();
}

}  // namespace attune::checkpoint
