#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_format.h"

namespace attune {
namespace {

using namespace checkpoint;

// Closes the file when it goes.
struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0) close(fd);
  }
};

// Reads [begin, end) of a file through a block; nothing past `end` is ever asked for.
class Reader {
 public:
  Reader(int fd, uint64_t begin, uint64_t end) : fd_(fd), at_(begin), end_(end) {}

  uint64_t remaining() const { return end_ - at_ + (size_ - used_); }

  bool read(void* out, size_t bytes) {
    char* to = static_cast<char*>(out);
    while (bytes > 0) {
      if (used_ == size_ && !fill()) return false;
      const size_t part = std::min(bytes, size_ - used_);
      memcpy(to, block_ + used_, part);
      used_ += part;
      to += part;
      bytes -= part;
    }
    return true;
  }

  bool skip(uint64_t bytes) {
    if (bytes > remaining()) return false;
    const uint64_t buffered = size_ - used_;
    if (bytes <= buffered) {
      used_ += static_cast<size_t>(bytes);
      return true;
    }
    at_ += bytes - buffered;
    used_ = size_ = 0;
    return true;
  }

  // Reads `bytes` bytes: whether they are `text`. `shown` receives their beginning.
  bool read_text(std::string_view text, uint32_t bytes, bool* same, char (&shown)[96]) {
    char start[sizeof(shown)] = {};
    const size_t part = std::min<size_t>(bytes, sizeof(start));
    if (!read(start, part)) return false;
    printable(start, part, shown, sizeof(shown));
    *same = bytes == text.size() && memcmp(start, text.data(), part) == 0;
    for (size_t i = part; i < bytes && *same; ++i) {
      char next;
      if (!read(&next, 1)) return false;
      *same = next == text[i];
      if (!*same) return skip(bytes - i - 1);
    }
    return *same || bytes <= part || skip(bytes - part);
  }

 private:
  bool fill() {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(end_ - at_, kBlockBytes));
    if (part == 0 || !read_at(fd_, at_, block_, part)) return false;
    at_ += part;
    size_ = part;
    used_ = 0;
    return true;
  }

  int fd_;
  uint64_t at_, end_;
  size_t size_ = 0, used_ = 0;
  alignas(8) char block_[kBlockBytes];
};

Status unreadable(const char* path) {
  return Status::error("%s: cannot be read: %s", path, errno ? strerror(errno) : "it ends early");
}

Status damaged(const char* path, const char* what) {
  return Status::error("%s: is damaged (%s); use another checkpoint", path, what);
}

Status check_whole(const char* path, int fd, uint64_t actual, Header* header) {
  Header& h = *header;
  const size_t present = static_cast<size_t>(std::min<uint64_t>(actual, sizeof(h)));
  if (!read_at(fd, 0, &h, present)) return unreadable(path);
  if (present == 0 || memcmp(h.magic, kMagic, std::min(present, sizeof(kMagic))) != 0)
    return Status::error("%s: is not a checkpoint; give a file that attune train has written",
                         path);
  if (present < sizeof(h))
    return Status::error("%s: is cut short, after %llu bytes; use another checkpoint", path,
                         static_cast<unsigned long long>(actual));
  if (h.version != kVersion)
    return Status::error("%s: is a checkpoint of version %u, and this program reads version %u",
                         path, h.version, kVersion);
  if (h.header_bytes != sizeof(h) || h.file_bytes < sizeof(h) + sizeof(uint64_t))
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

// Reads one tensor up to its elements. An error is what differs from the plan.
Status match_tensor(Reader& reader, const TensorInfo& expected) {
  const Status ends = Status::error("it ends early");
  TensorHeader h;
  bool same = false;
  char shown[96];
  const int name_length = static_cast<int>(std::min<size_t>(expected.name.size(), 120));
  const char* const name = expected.name.data();
  if (!reader.read(&h, sizeof(h))) return ends;
  bool same_dims = h.rank == expected.header.rank;
  for (uint32_t i = 0; i < h.rank; ++i) {
    int64_t dim;
    if (!reader.read(&dim, sizeof(dim))) return ends;
    same_dims = same_dims && dim == expected.parameter->model_shape()->Get(i);
  }
  if (!reader.read_text(expected.name, h.name_bytes, &same, shown)) return ends;
  if (!same)
    return Status::error("it holds tensor '%s' where the plan trains '%.*s'", shown, name_length,
                         name);
  if (!reader.read_text(expected.slot, h.slot_bytes, &same, shown)) return ends;
  if (!same)
    return Status::error("'%.*s': it holds '%s' where the optimizer keeps '%.*s'", name_length,
                         name, shown, static_cast<int>(std::min<size_t>(expected.slot.size(), 40)),
                         expected.slot.data());
  if (!same_dims) return Status::error("'%.*s' has another shape", name_length, name);
  if (h.dtype != expected.header.dtype)
    return Status::error(
        "'%.*s' is %s there and %s in the plan", name_length, name,
        h.dtype < kDTypeCount ? dtype_name(static_cast<DType>(h.dtype)) : "unknown",
        dtype_name(static_cast<DType>(expected.header.dtype)));
  if (h.slice_channels != expected.header.slice_channels)
    return Status::error("'%.*s': %lld channels are trained there and %lld in the plan (-1: all)",
                         name_length, name, static_cast<long long>(h.slice_channels),
                         static_cast<long long>(expected.header.slice_channels));
  if (h.slice_hash != expected.header.slice_hash)
    return Status::error("'%.*s': other channels are trained", name_length, name);
  if (h.bytes != expected.header.bytes || h.bytes > reader.remaining())
    return Status::error("'%.*s' has another size", name_length, name);
  return Status::ok();
}

void get_tensor(Reader& reader, const TensorInfo& tensor, std::byte* values, bool* read) {
  const size_t bytes = tensor.element_bytes;
  *read = for_each_run(tensor, [&](int64_t first, int64_t stride, int64_t count) {
    std::byte* to = values + static_cast<size_t>(first) * bytes;
    if (stride == 1) return reader.read(to, static_cast<size_t>(count) * bytes);
    for (int64_t i = 0; i < count; ++i, to += static_cast<size_t>(stride) * bytes)
      if (!reader.read(to, bytes)) return false;
    return true;
  });
}

// Compares every tensor with the plan; copies them where there is a state.
Status read_tensors(Reader& reader, const format::Plan& plan, std::byte* state) {
  if (!plan.parameters()) return Status::ok();
  for (const format::Parameter* parameter : *plan.parameters())
    for (int i = 0; i < tensors_of(*parameter); ++i) {
      const TensorInfo tensor = describe_tensor(*parameter, i);
      ATTUNE_RETURN_IF_ERROR(match_tensor(reader, tensor));
      bool read = true;
      if (state)
        get_tensor(reader, tensor, state + tensor.state_offset, &read);
      else
        read = reader.skip(tensor.header.bytes);
      if (!read) return Status::error("it ends early");
    }
  return Status::ok();
}

// What makes the signatures differ, as far as the file tells.
Status explain_signature(const char* path, int fd, const Header& h, const format::Plan& plan) {
  const char* const kAdvice = "compile the plan with the same model, scheme and optimizer";
  Reader reader(fd, sizeof(h), h.file_bytes - sizeof(uint64_t));
  char model[96] = {}, optimizer[96] = {};
  bool same_name = false, same_optimizer = false;
  const std::string_view plan_model = string_of(plan.model_name());
  const std::string_view plan_optimizer = string_of(plan.optimizer());
  if (!reader.read_text(plan_model, h.model_name_bytes, &same_name, model) ||
      !reader.read_text(plan_optimizer, h.optimizer_bytes, &same_optimizer, optimizer))
    return damaged(path, "its texts end early");
  if (h.model_hash != plan.model_hash())
    return Status::error(
        "%s: checkpoint of another model or scheme: it is of %s '%s', the plan of "
        "'%.*s'; %s",
        path, same_name ? "another version of" : "the model", model,
        static_cast<int>(std::min<size_t>(plan_model.size(), 96)), plan_model.data(), kAdvice);
  if (!same_optimizer)
    return Status::error(
        "%s: checkpoint of another model or scheme: it was trained with '%s', the "
        "plan trains with '%.*s'; %s",
        path, optimizer, static_cast<int>(std::min<size_t>(plan_optimizer.size(), 96)),
        plan_optimizer.data(), kAdvice);
  const Status difference = read_tensors(reader, plan, nullptr);
  if (difference && h.tensors != count_tensors(plan))
    return Status::error(
        "%s: checkpoint of another model or scheme: it holds %u tensors, the plan "
        "trains %u; %s",
        path, h.tensors, count_tensors(plan), kAdvice);
  return Status::error(
      "%s: checkpoint of another model or scheme: %.200s; %s", path,
      difference ? "the weights that training starts from differ" : difference.message(), kAdvice);
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
  i.progress = {h.step,        h.epoch,      h.batch,     h.loss_sum,
                h.correct_sum, h.weight_sum, h.last_loss, h.last_rate};
  i.dataset_size = h.dataset_size;
  if (!check_schedule(i.options.schedule) || h.epochs < 0 || h.steps < 0 || h.step < 0 ||
      h.epoch < 0 || h.batch < 0 || h.dataset_size < 0 || !std::isfinite(h.loss_sum) ||
      !std::isfinite(h.correct_sum) || !std::isfinite(h.weight_sum) ||
      !std::isfinite(h.last_loss) || !std::isfinite(h.last_rate))
    return damaged(path, "its options have no meaning");
  *info = i;
  return Status::ok();
}

}  // namespace

Status load_checkpoint(const char* path, Session& session, CheckpointInfo* info) {
  const format::Plan& plan = session.plan().table();
  File file;
  uint64_t actual = 0;
  unsigned mode = 0;
  ATTUNE_RETURN_IF_ERROR(open_existing(path, &file.fd, &actual, &mode));
  if (file.fd < 0) return Status::error("%s: there is no such file", path);
  Header h = {};
  ATTUNE_RETURN_IF_ERROR(check_whole(path, file.fd, actual, &h));
  if (h.signature != plan.signature()) return explain_signature(path, file.fd, h, plan);

  if (h.real != plan.real())
    return Status::error(
        "%s: checkpoint of a plan that computes in %s, and this one computes in %s; "
        "compile the plan in the same type",
        path, h.real == static_cast<uint32_t>(DType::f64) ? "f64" : "f32",
        dtype_name(static_cast<DType>(plan.real())));
  const uint64_t texts = uint64_t{h.model_name_bytes} + h.optimizer_bytes;
  if (h.tensors != count_tensors(plan) ||
      actual != sizeof(h) + texts + tensor_bytes(plan) + sizeof(uint64_t))
    return damaged(path, "it does not hold the plan's tensors");
  const uint64_t begin = sizeof(h) + texts, end = actual - sizeof(uint64_t);
  Reader checked(file.fd, begin, end);
  if (const Status difference = read_tensors(checked, plan, nullptr); !difference)
    return damaged(path, difference.message());
  CheckpointInfo read;
  ATTUNE_RETURN_IF_ERROR(read_info(path, h, &read));

  Reader values(file.fd, begin, end);
  if (const Status status = read_tensors(values, plan, session.state().data()); !status)
    return Status::error("%s: changed while it was read; load it again", path);
  if (info) *info = read;
  return Status::ok();
}

}  // namespace attune
