#include <algorithm>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_reader.h"

namespace attune {
namespace {

using namespace checkpoint;

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

// Compares every tensor with the plan, and looks at its numbers; copies them where there is a
// state.
Status read_tensors(Reader& reader, const format::Plan& plan, std::byte* state) {
  if (!plan.parameters()) return Status::ok();
  for (const format::Parameter* parameter : *plan.parameters())
    for (int i = 0; i < tensors_of(*parameter); ++i) {
      const TensorInfo tensor = describe_tensor(*parameter, i);
      ATTUNE_RETURN_IF_ERROR(match_tensor(reader, tensor));
      bool finite = true;
      if (!(state ? read_elements(reader, tensor, state)
                  : check_elements(reader, tensor.header, &finite)))
        return Status::error("it ends early");
      if (!finite)
        return Status::error("'%.*s' holds numbers that are not finite",
                             static_cast<int>(std::min<size_t>(tensor.name.size(), 120)),
                             tensor.name.data());
    }
  return Status::ok();
}

// What makes the signatures differ, as far as the file tells.
Status explain_signature(const char* name, ByteSource& source, const Header& h,
                         const format::Plan& plan) {
  const char* const kAdvice = "compile the plan with the same model, scheme and optimizer";
  Reader reader(source, h.header_bytes, h.file_bytes - sizeof(uint64_t));
  char model[96] = {}, optimizer[96] = {};
  bool same_name = false, same_optimizer = false;
  const std::string_view plan_model = string_of(plan.model_name());
  const std::string_view plan_optimizer = string_of(plan.optimizer());
  if (!reader.read_text(plan_model, h.model_name_bytes, &same_name, model) ||
      !reader.read_text(plan_optimizer, h.optimizer_bytes, &same_optimizer, optimizer))
    return damaged(name, "its texts end early");
  if (h.model_hash != plan.model_hash())
    return Status::error(
        "%s: checkpoint of another model or scheme: it is of %s '%s', the plan of "
        "'%.*s'; %s",
        name, same_name ? "another version of" : "the model", model,
        static_cast<int>(std::min<size_t>(plan_model.size(), 96)), plan_model.data(), kAdvice);
  if (!same_optimizer)
    return Status::error(
        "%s: checkpoint of another model or scheme: it was trained with '%s', the "
        "plan trains with '%.*s'; %s",
        name, optimizer, static_cast<int>(std::min<size_t>(plan_optimizer.size(), 96)),
        plan_optimizer.data(), kAdvice);
  const Status difference = read_tensors(reader, plan, nullptr);
  if (difference && h.tensors != count_tensors(plan))
    return Status::error(
        "%s: checkpoint of another model or scheme: it holds %u tensors, the plan "
        "trains %u; %s",
        name, static_cast<unsigned>(h.tensors), static_cast<unsigned>(count_tensors(plan)),
        kAdvice);
  return Status::error(
      "%s: checkpoint of another model or scheme: %.200s; %s", name,
      difference ? "the weights that training starts from differ" : difference.message(), kAdvice);
}

}  // namespace

Status load_checkpoint(ByteSource& source, const char* name, Session& session, CheckpointInfo* info,
                       CheckpointState wanted) {
  const format::Plan& plan = session.plan().table();
  Header h = {};
  ATTUNE_RETURN_IF_ERROR(read_whole(name, source, &h));
  if (h.signature != plan.signature()) return explain_signature(name, source, h, plan);
  ATTUNE_RETURN_IF_ERROR(check_real(name, h, plan));
  const uint64_t texts = uint64_t{h.model_name_bytes} + h.optimizer_bytes;
  const uint64_t once = tensor_bytes(plan);
  const bool twice = h.kept_apart == 1;
  if (h.tensors != count_tensors(plan) ||
      h.file_bytes != h.header_bytes + texts + once * (twice ? 2 : 1) + sizeof(uint64_t))
    return damaged(name, "it does not hold the plan's tensors");
  const uint64_t begin = h.header_bytes + texts, end = h.file_bytes - sizeof(uint64_t);
  Reader checked(source, begin, end);
  for (int i = 0; i < (twice ? 2 : 1); ++i)
    if (const Status difference = read_tensors(checked, plan, nullptr); !difference)
      return damaged(name, difference.message());
  CheckpointInfo read;
  ATTUNE_RETURN_IF_ERROR(read_info(name, h, &read));

  Reader values(source, is_second(h, wanted) ? begin + once : begin, end);
  if (const Status status = read_tensors(values, plan, session.state().data()); !status)
    return Status::error("%s: changed while it was read; load it again", name);
  if (info) *info = read;
  return Status::ok();
}

Status examine_checkpoint(ByteSource& source, const char* name, const Plan& plan,
                          CheckpointFacts* facts) {
  Header h = {};
  ATTUNE_RETURN_IF_ERROR(read_whole(name, source, &h));
  ATTUNE_RETURN_IF_ERROR(read_info(name, h, &facts->info));
  facts->same_model = h.model_hash == plan.table().model_hash() && h.real == plan.table().real();
  facts->fits = h.signature == plan.table().signature() && h.real == plan.table().real();
  return Status::ok();
}

}  // namespace attune
