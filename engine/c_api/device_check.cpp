#include "attune/device_check.h"

#include "engine/c_api/session_options.h"
#include "engine/platform/error_text.h"

using namespace attune;
using namespace attune::c_api;

namespace {

// What `check` finds, in the caller's report.
template <class Check>
attune_status report_of(const attune_session_options* given, const attune_device* given_device,
                        attune_device_report* report, attune_error* error, Check&& check) {
  ATTUNE_C_RETURN_IF_ERROR(check_struct(report, "attune_device_report", error));
  SessionWish wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_session_options(given, &wanted, error));
  attune_device device;
  ATTUNE_C_RETURN_IF_ERROR(read(given_device, &device, "attune_device", error));
  wanted.options.allocator = engine_allocator(wanted.offer);
  wanted.options.parallel_for = threads_of(&wanted.parallel);
  DeviceLimits limits = {device.ram_bytes, device.stack_bytes};
  if (limits.ram_bytes == 0 && wanted.offer.memory) limits.ram_bytes = wanted.offer.memory_bytes;
  DeviceCheck found;
  ATTUNE_C_RETURN_IF_ERROR(MemoryWatch::told(
      error, ATTUNE_ERROR_PLAN, [&] { return check(wanted.options, limits, &found); }));
  attune_device_report r = {};
  r.fits = found.fits;
  r.lacking_operators = found.lacking_operators;
  r.ram_bytes = found.memory.ram();
  r.required_bytes = found.required_bytes + session_object_bytes();
  r.ram_available = found.ram_available;
  r.plan_bytes = found.plan_bytes;
  r.stack_bytes = found.stack_bytes;
  write_text(r.reason, sizeof(r.reason), "%s", found.reason);
  write(report, r);
  return succeed(error);
}

}  // namespace

attune_status attune_session_check(const attune_plan* plan, const attune_session_options* options,
                                   const attune_device* device, attune_device_report* report,
                                   attune_error* error) {
  ATTUNE_C_NEED(attune_session_check, plan);
  ATTUNE_C_NEED(attune_session_check, report);
  return report_of(options, device, report, error,
                   [&](const SessionOptions& with, const DeviceLimits& limits, DeviceCheck* found) {
                     return check_device(plan->plan, with, limits, found);
                   });
}

attune_status attune_plan_check(const void* bytes, size_t count, const char* name,
                                const attune_session_options* options, const attune_device* device,
                                attune_device_report* report, attune_error* error) {
  ATTUNE_C_NEED(attune_plan_check, bytes);
  ATTUNE_C_NEED(attune_plan_check, report);
  return report_of(options, device, report, error,
                   [&](const SessionOptions& with, const DeviceLimits& limits, DeviceCheck* found) {
                     return check_device(bytes_of(bytes, count), name ? name : "plan", with, limits,
                                         found);
                   });
}
