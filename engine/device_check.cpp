#include "attune/device_check.h"

#include <algorithm>
#include <cstring>

#include "engine/format/lacking_operators.h"
#include "engine/format/plan_verify.h"
#include "engine/platform/error_text.h"
#include "engine/platform/memory.h"

namespace attune {
namespace {

// The most that was seen, of saving a checkpoint to a path, and half of that again.
constexpr size_t kStackBytes = size_t{48} << 10;

unsigned long long shown(size_t bytes) { return static_cast<unsigned long long>(bytes); }

// What is given, else what the device is said to have, else what the system tells.
size_t ram_for(const SessionOptions& options, const DeviceLimits& limits) {
  size_t available = limits.ram_bytes > 0 ? limits.ram_bytes : SIZE_MAX;
  if (!options.memory.empty()) return std::min(available, options.memory.size());
  if (limits.ram_bytes > 0 || options.allocator) return available;
  return available_bytes();
}

}  // namespace

Status check_device(const Plan& plan, const SessionOptions& options, const DeviceLimits& limits,
                    DeviceCheck* check) {
  *check = {};
  check->plan_bytes = plan.file_bytes();
  check->stack_bytes = kStackBytes;
  check->ram_available = ram_for(options, limits);
  Status measured = Session::estimate_memory(plan, options, &check->memory);
  if (measured) measured = Session::required_bytes(plan, options, &check->required_bytes);
  if (!measured) {
    write_text(check->reason, sizeof(check->reason), "%s", measured.message());
    return Status::ok();
  }
  const size_t ram = options.memory.empty() ? check->memory.ram() : check->required_bytes;
  if (ram > check->ram_available)
    write_text(check->reason, sizeof(check->reason),
               "%.160s: a session takes %llu bytes of memory, and there are %llu; compile it with "
               "--memory %llu, a smaller batch or scheme",
               plan.name(), shown(ram), shown(check->ram_available), shown(check->ram_available));
  else if (limits.stack_bytes > 0 && check->stack_bytes > limits.stack_bytes)
    write_text(check->reason, sizeof(check->reason),
               "%.160s: it may take %llu bytes of stack, and there are %llu; call it from a thread "
               "with more",
               plan.name(), shown(check->stack_bytes), shown(limits.stack_bytes));
  else
    check->fits = true;
  return Status::ok();
}

Status check_device(std::span<const std::byte> bytes, const char* name,
                    const SessionOptions& options, const DeviceLimits& limits, DeviceCheck* check) {
  PlanHeader header;
  const format::Plan* table = nullptr;
  ATTUNE_RETURN_IF_ERROR(read_plan_table(bytes, name, &header, &table));
  LackingOperator lacking[kMostLacking];
  const int count = lacking_operators(*table, lacking);
  if (count == 0) {
    Plan plan;
    ATTUNE_RETURN_IF_ERROR(Plan::from_memory(bytes, name, &plan));
    return check_device(plan, options, limits, check);
  }
  *check = {};
  check->lacking_operators = count;
  check->plan_bytes = bytes.size();
  check->stack_bytes = kStackBytes;
  check->ram_available = ram_for(options, limits);
  check->memory.constants = static_cast<size_t>(table->constants_bytes());
  check->memory.state = static_cast<size_t>(table->state_bytes());
  check->memory.arena = static_cast<size_t>(table->arena_bytes());
  write_text(check->reason, sizeof(check->reason), "%s: ", name);
  const size_t at = std::strlen(check->reason);
  describe({lacking, static_cast<size_t>(count)}, check->reason + at, sizeof(check->reason) - at);
  return Status::ok();
}

}  // namespace attune
