#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_format.h"
#include "engine/state_check.h"

namespace attune {
namespace {

using namespace checkpoint;

struct Path {
  char text[PATH_MAX] = {};
};

// Where the file really is: a symlink stays one, and what it points at is replaced.
Status resolve(const char* path, Path* real) {
  struct stat info;
  if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
    if (!realpath(path, real->text))
      return Status::error("%s: is a link that leads nowhere: %s", path, strerror(errno));
    return Status::ok();
  }
  if (*path == '\0') return Status::error("the name of the checkpoint is empty");
  if (strlen(path) + 32 > sizeof(real->text)) return Status::error("%.100s...: too long", path);
  strcpy(real->text, path);
  return Status::ok();
}

// `mode` receives that of the existing file, or -1.
Status check_not_foreign(const char* path, const Plan& plan, Replace replace, int* mode) {
  *mode = -1;
  int fd = -1;
  uint64_t bytes = 0;
  unsigned permissions = 0;
  ATTUNE_RETURN_IF_ERROR(open_existing(path, &fd, &bytes, &permissions));
  if (fd < 0) return Status::ok();
  Header header = {};
  const size_t present = static_cast<size_t>(std::min<uint64_t>(bytes, sizeof(header)));
  const bool read = read_at(fd, 0, &header, present);
  close(fd);
  if (!read) return Status::error("%s: cannot be read: %s", path, strerror(errno));
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return Status::error(
        "%s: exists and is not a checkpoint; it is left alone, choose another name", path);
  if (replace == Replace::same_plan &&
      (header.signature != plan.table().signature() || header.real != plan.table().real()))
    return Status::error(
        "%s: exists and is a checkpoint of another model, scheme or optimizer; it is left alone, "
        "choose another name",
        path);
  *mode = static_cast<int>(permissions);
  return Status::ok();
}

Status create_temporary(const char* path, Path* temporary, int* fd) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int length = snprintf(temporary->text, sizeof(temporary->text), "%s.tmp-%ld-%u", path,
                                static_cast<long>(getpid()), counter++);
    if (length < 0 || static_cast<size_t>(length) >= sizeof(temporary->text))
      return Status::error("%.100s...: too long", path);
    *fd = open(temporary->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (*fd >= 0) return Status::ok();
    if (errno != EEXIST && errno != EINTR) break;
  }
  return Status::error("%s: cannot be created in its folder: %s", path, strerror(errno));
}

// Collects blocks, hashes and writes them. After an error it only remembers the error.
class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {}

  void put(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const size_t part = std::min(bytes, kBlockBytes - size_);
      memcpy(block_ + size_, from, part);
      size_ += part;
      from += part;
      bytes -= part;
      if (size_ == kBlockBytes) flush();
    }
  }

  // Writes what is left, with the checksum behind it. Returns 0 or what errno was.
  int finish() {
    const uint64_t checksum = hash64({reinterpret_cast<std::byte*>(block_), size_}, hash_);
    write_all(block_, size_);
    write_all(&checksum, sizeof(checksum));
    while (error_ == 0 && fsync(fd_) != 0)
      if (errno != EINTR) error_ = errno;
    return error_;
  }

 private:
  void flush() {
    hash_ = hash64({reinterpret_cast<std::byte*>(block_), size_}, hash_);
    write_all(block_, size_);
    size_ = 0;
  }

  void write_all(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    while (error_ == 0 && bytes > 0) {
      const ssize_t written = write(fd_, from, bytes);
      if (written <= 0) {
        if (written == 0 || errno != EINTR) error_ = written == 0 ? EIO : errno;
        continue;
      }
      from += written;
      bytes -= static_cast<size_t>(written);
    }
  }

  int fd_;
  int error_ = 0;
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
  const std::byte* const values = state.data() + tensor.state_offset;
  for_each_run(tensor, [&](int64_t first, int64_t stride, int64_t count) {
    const size_t bytes = tensor.element_bytes;
    const std::byte* from = values + static_cast<size_t>(first) * bytes;
    if (stride == 1)
      writer.put(from, static_cast<size_t>(count) * bytes);
    else
      for (int64_t i = 0; i < count; ++i, from += static_cast<size_t>(stride) * bytes)
        writer.put(from, bytes);
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
  memcpy(h.magic, kMagic, sizeof(kMagic));
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

// So that the new name survives a power cut. File systems that cannot do it say so, and are let be.
Status sync_folder(const char* path) {
  Path folder;
  strcpy(folder.text, path);
  char* const slash = strrchr(folder.text, '/');
  if (!slash)
    strcpy(folder.text, ".");
  else
    slash[slash == folder.text ? 1 : 0] = '\0';
  int fd;
  do {
    fd = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Status::ok();  // one may write to a folder that one may not read
  int error = 0;
  while (fsync(fd) != 0) {
    if (errno == EINTR) continue;
    error = errno;
    break;
  }
  close(fd);
  if (error != 0 && error != EINVAL && error != ENOTSUP && error != EROFS && error != EBADF)
    return Status::error("%s: written, but its folder cannot be synced: %s", path, strerror(error));
  return Status::ok();
}

}  // namespace

Status check_checkpoint_path(const char* path, const Plan& plan, Replace replace) {
  Path real, temporary;
  ATTUNE_RETURN_IF_ERROR(resolve(path, &real));
  int mode = -1, fd = -1;
  ATTUNE_RETURN_IF_ERROR(check_not_foreign(real.text, plan, replace, &mode));
  ATTUNE_RETURN_IF_ERROR(create_temporary(real.text, &temporary, &fd));
  close(fd);
  unlink(temporary.text);
  return Status::ok();
}

Status save_checkpoint(const char* path, const Session& session, const CheckpointInfo& info,
                       std::span<const std::byte> kept, Replace replace) {
  const format::Plan& plan = session.plan().table();
  const bool needed = info.keep_best && info.best.measured && info.best.step != info.progress.step;
  if (kept.size() != session.state().size() && (needed || !kept.empty()))
    return Status::error("%s: the state that the run keeps is not given, or is of another plan",
                         path);
  const bool apart = !kept.empty() && memcmp(kept.data(), session.state().data(), kept.size()) != 0;
  const Header header = make_header(plan, info, apart);
  Path real, temporary;
  if (const Status status = check_finite(plan, session.state()); !status)
    return Status::error(
        "%s: training has diverged, and no checkpoint is written; lower the learning rate, or warm "
        "it up",
        status.message());
  ATTUNE_RETURN_IF_ERROR(resolve(path, &real));
  int mode = -1, fd = -1;
  ATTUNE_RETURN_IF_ERROR(check_not_foreign(real.text, session.plan(), replace, &mode));
  ATTUNE_RETURN_IF_ERROR(create_temporary(real.text, &temporary, &fd));

  Writer writer(fd);
  writer.put(&header, sizeof(header));
  writer.put(string_of(plan.model_name()).data(), header.model_name_bytes);
  writer.put(string_of(plan.optimizer()).data(), header.optimizer_bytes);
  put_tensors(writer, plan, session.state());
  if (apart) put_tensors(writer, plan, kept);
  int error = writer.finish();
  if (error == 0 && mode >= 0 && fchmod(fd, static_cast<mode_t>(mode)) != 0) error = errno;
  // After EINTR the descriptor is closed, and the data is synced already.
  if (close(fd) != 0 && errno != EINTR && error == 0) error = errno;
  if (error == 0 && rename(temporary.text, real.text) != 0) error = errno;
  if (error != 0) {
    unlink(temporary.text);
    return Status::error("%s: the checkpoint cannot be written: %s; what was there is unchanged",
                         path, strerror(error));
  }
  return sync_folder(real.text);
}

}  // namespace attune
