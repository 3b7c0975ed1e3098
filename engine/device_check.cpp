#include "attune/device_check.h"

#include <algorithm>
#include <cstring>

#include "engine/format/lacking_operators.h"
#include "engine/format/plan_verify.h"
#include "engine/platform/error_text.h"
#include "engine/platform/memory.h"
#include "kernels/kernel.h"

namespace attune {
namespace {

// Of loading a plan and of a step; kernels of other backends than the reference's have tiles on the
// stack (docs/devices.md).
size_t stack_for(const SessionOptions& options) {
  bool tiles = false;
  for (int b = 0; b < kBackendCount; ++b)
    tiles |= static_cast<Backend>(b) != Backend::reference &&
             backend_available(static_cast<Backend>(b)) &&
             options.backend != BackendChoice::reference;
  return std::max(size_t{tiles ? 32u : 5u} << 10, file_stack_bytes());
}

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
  check->stack_bytes = stack_for(options);
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

namespace {

// What is known of a plan that lacks operators; false: it lacks none. Apart, so that its lists are
// not on the stack while a plan is loaded.
[[gnu::noinline]] bool report_lacking(const format::Plan& table, const char* name,
                                      DeviceCheck* check) {
  LackingOperator lacking[kMostLacking];
  const int count = lacking_operators(table, lacking);
  if (count == 0) return false;
  *check = {};
  check->lacking_operators = count;
  check->memory.constants = static_cast<size_t>(table.constants_bytes());
  check->memory.state = static_cast<size_t>(table.state_bytes());
  check->memory.arena = static_cast<size_t>(table.arena_bytes());
  write_text(check->reason, sizeof(check->reason), "%.160s: ", name);
  const size_t at = std::strlen(check->reason);
  describe({lacking, static_cast<size_t>(count)}, check->reason + at, sizeof(check->reason) - at);
  return true;
}

}  // namespace

Status check_device(std::span<const std::byte> bytes, const char* name,
                    const SessionOptions& options, const DeviceLimits& limits, DeviceCheck* check) {
  PlanHeader header;
  const format::Plan* table = nullptr;
  ATTUNE_RETURN_IF_ERROR(read_plan_table(bytes, name, &header, &table));
  if (report_lacking(*table, name, check)) {
    check->plan_bytes = bytes.size();
    check->stack_bytes = stack_for(options);
    check->ram_available = ram_for(options, limits);
    return Status::ok();
  }
  Plan plan;
  ATTUNE_RETURN_IF_ERROR(Plan::from_memory(bytes, name, &plan));
  return check_device(plan, options, limits, check);
}

}  // namespace attune
