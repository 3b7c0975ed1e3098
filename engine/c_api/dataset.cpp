#include "engine/c_api/dataset.h"

#include <cmath>
#include <limits>

#include "engine/batch.h"
#include "engine/platform/error_text.h"

namespace attune::c_api {

static_assert(ATTUNE_TARGET_FIELD == kTargetField && ATTUNE_IGNORED_LABEL == kIgnoredLabel);

attune_status read_dataset(const attune_dataset* given, attune_dataset* own, attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(read(given, own, "attune_dataset", error));
  if (!own->read) return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_dataset: read is NULL");
  if (own->count < 1 || own->count > std::numeric_limits<int32_t>::max())
    return fail(error, ATTUNE_ERROR_DATA, "attune_dataset: %lld examples; give 1 .. 2147483647",
                static_cast<long long>(own->count));
  return ATTUNE_OK;
}

attune_status read_control(const attune_control* given, attune_control* own, attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(read(given, own, "attune_control", error));
  if (own->budget_ms < 0 || own->max_steps < 0)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_control: budget_ms or max_steps is negative; 0 stands for no limit");
  return ATTUNE_OK;
}

CallersDataset::CallersDataset(const attune_dataset& data, const Session* session, ProgramKind kind)
    : data_(data), session_(session), kind_(kind) {
  for (int i = 0; session && i < session->port_count(kind); ++i) {
    const SessionPort port = session->port(kind, i);
    has_limits_ = has_limits_ || (is_fed(port.role) && port.limit > 0);
  }
}

Status CallersDataset::read(int64_t index, int field, std::span<std::byte> bytes) {
  if (stop_ && index != asked_) {
    stopped_ = stop_(stop_context_);
    if (stopped_ != ATTUNE_RUNNING) return Status::error("stopped");
    asked_ = index;
  }
  const int32_t wrong = data_.read(data_.context, index, field, bytes.data(), bytes.size());
  if (wrong != 0) {
    failed_ = true;
    const std::string_view where = describe(index);
    return Status::error("%.*s: the data set's read returned %d for field %d of %zu bytes",
                         static_cast<int>(where.size()), where.data(), static_cast<int>(wrong),
                         static_cast<int>(field), bytes.size());
  }
  if (!has_limits_) return Status::ok();
  // What the engine would refuse, too, is told apart here from what a run made.
  const SessionPort port = field == kTargetField ? session_->port(kind_, PortRole::label)
                                                 : session_->port(kind_, PortRole::input, field);
  if (!port || port.limit == 0) return Status::ok();
  for (size_t at = 0; at + sizeof(int32_t) <= bytes.size(); at += sizeof(int32_t)) {
    int32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    if (field != kTargetField || value != kIgnoredLabel)
      failed_ |= value < 0 || value >= port.limit;
  }
  return Status::ok();
}

std::string_view CallersDataset::describe(int64_t index) {
  if (data_.describe)
    if (const char* text = data_.describe(data_.context, index)) return text;
  write_text(description_, sizeof(description_), "example %lld", static_cast<long long>(index));
  return description_;
}

double CallersDataset::weight(int64_t index) {
  const double weight = data_.weight ? data_.weight(data_.context, index) : 1;
  failed_ |= !(weight >= 0 && std::isfinite(weight));
  return weight;
}

double CallersDataset::advantage(int64_t index) {
  const double advantage = data_.advantage ? data_.advantage(data_.context, index) : 1;
  failed_ |= !std::isfinite(advantage);
  return advantage;
}

}  // namespace attune::c_api
