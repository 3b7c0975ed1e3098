#include <limits>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_reader.h"

namespace attune {
namespace {

using namespace checkpoint;

// A tensor as a file has it, read up to its elements.
struct FileTensor {
  TensorHeader header;
  int64_t dims[kMaxRank] = {};
  uint64_t name_at = 0;
  bool is_value = false;  // of the parameter, not of the optimizer
};

bool read_head(Reader& reader, FileTensor* tensor) {
  TensorHeader& h = tensor->header;
  char shown[96];
  if (!reader.read(&h, sizeof(h)) || h.rank > kMaxRank ||
      !reader.read(tensor->dims, h.rank * sizeof(int64_t)))
    return false;
  tensor->name_at = reader.position();
  return reader.skip(h.name_bytes) &&
         reader.read_text("value", h.slot_bytes, &tensor->is_value, shown) &&
         h.bytes <= reader.remaining();
}

// Whether `text` stands at `offset`.
bool text_is(ByteSource& source, uint64_t offset, std::string_view text) {
  char part[128];
  for (size_t at = 0; at < text.size(); at += sizeof(part)) {
    const size_t size = std::min(sizeof(part), text.size() - at);
    if (!source.read_at(offset + at, part, size) ||
        text.substr(at, size) != std::string_view(part, size))
      return false;
  }
  return true;
}

const format::Parameter* parameter_of(const format::Plan& plan, ByteSource& source,
                                      const FileTensor& tensor) {
  if (plan.parameters())
    for (const format::Parameter* parameter : *plan.parameters()) {
      const std::string_view name = string_of(parameter->name());
      if (name.size() == tensor.header.name_bytes && text_is(source, tensor.name_at, name))
        return parameter;
    }
  return nullptr;
}

bool same_dims(const FileTensor& tensor, const TensorInfo& expected) {
  bool same = tensor.header.rank == expected.header.rank;
  for (uint32_t i = 0; same && i < tensor.header.rank; ++i)
    same = tensor.dims[i] == expected.parameter->model_shape()->Get(i);
  return same;
}

// Takes the parameters of a file whose tensors may be others than the plan's: only checks where
// there is no state. An error has no path yet.
Status take_parameters(ByteSource& source, Reader reader, uint32_t tensors,
                       const format::Plan& plan, std::byte* state, WarmStart* start) {
  start->parameters = start->fresh = 0;
  for (uint32_t i = 0; i < tensors; ++i) {
    FileTensor tensor;
    if (!read_head(reader, &tensor)) return Status::error("it is damaged");
    const auto pass_over = [&] { return reader.skip(tensor.header.bytes); };
    if (!tensor.is_value) {
      if (!pass_over()) return Status::error("it is damaged");
      continue;
    }
    const format::Parameter* const parameter = parameter_of(plan, source, tensor);
    char name[96] = {}, shown[96] = {};
    const size_t length = std::min<size_t>(tensor.header.name_bytes, sizeof(name));
    if (!source.read_at(tensor.name_at, name, length)) return Status::error("it cannot be read");
    printable(name, length, shown, sizeof(shown));
    if (!parameter) return Status::error("'%s' was trained there and is frozen in the plan", shown);
    const TensorInfo expected = describe_tensor(*parameter, 0);
    if (!same_dims(tensor, expected)) {
      if (!parameter->head()) return Status::error("'%s' has another shape in the plan", shown);
      ++start->fresh;
      if (!pass_over()) return Status::error("it is damaged");
      continue;
    }
    if (tensor.header.slice_channels != expected.header.slice_channels ||
        tensor.header.slice_hash != expected.header.slice_hash)
      return Status::error("other channels of '%s' are trained in the plan", shown);
    if (tensor.header.dtype != expected.header.dtype ||
        tensor.header.bytes != expected.header.bytes)
      return Status::error("it is damaged");
    bool finite = true;
    if (!(state ? read_elements(reader, expected, state)
                : check_elements(reader, tensor.header, &finite)))
      return Status::error("it is damaged");
    if (!finite) return Status::error("'%s' holds numbers that are not finite", shown);
    ++start->parameters;
  }
  return Status::ok();
}

}  // namespace

Status start_from_checkpoint(ByteSource& source, const char* name, Session& session,
                             WarmStart* start) {
  const format::Plan& plan = session.plan().table();
  Header h = {};
  ATTUNE_RETURN_IF_ERROR(read_whole(name, source, &h));
  WarmStart read;
  ATTUNE_RETURN_IF_ERROR(read_info(name, h, &read.info));
  const bool second = is_second(h, CheckpointState::best);
  // What is of another model, or damaged, is explained there.
  if (h.signature == plan.signature() || h.model_hash != plan.model_hash()) {
    ATTUNE_RETURN_IF_ERROR(load_checkpoint(source, name, session, &read.info));
    read.parameters = plan.parameters() ? static_cast<int>(plan.parameters()->size()) : 0;
    read.optimizer_state = true;
    const TrainProgress& progress = read.info.progress;
    // More than a trainer counts, nothing reads.
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
    read.earlier_steps =
        std::min(kMost, std::min(kMost, progress.earlier_steps) +
                            std::min(kMost, second ? read.info.best.step : progress.step));
    *start = read;
    return Status::ok();
  }
  ATTUNE_RETURN_IF_ERROR(check_real(name, h, plan));
  const uint64_t begin = h.header_bytes + uint64_t{h.model_name_bytes} + h.optimizer_bytes;
  const uint64_t end = h.file_bytes - sizeof(uint64_t);
  if (begin > end) return damaged(name, "its texts end early");
  const Reader best(source, second ? begin + (end - begin) / 2 : begin, end);
  if (const Status status = take_parameters(source, best, h.tensors, plan, nullptr, &read); !status)
    return Status::error(
        "%s: a run with this plan cannot start from it: %.300s; export it with its own plan "
        "(attune export), and compile the exported model",
        name, status.message());
  session.reset_state();
  if (!take_parameters(source, best, h.tensors, plan, session.state().data(), &read))
    return Status::error("%s: changed while it was read; load it again", name);
  *start = read;
  return Status::ok();
}

}  // namespace attune
