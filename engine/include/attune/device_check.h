#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attune/plan.h"
#include "attune/session.h"
#include "attune/status.h"

// Whether a plan would run on this device, before anything is taken for it.
#pragma GCC visibility push(default)  // a shared library shows these
namespace attune {

// What the device has.
struct DeviceLimits {
  // For a session. 0: what SessionOptions::memory has, else what the system says is available.
  size_t ram_bytes = 0;
  size_t stack_bytes = 0;  // of the thread that will call; 0: not checked
};

struct DeviceCheck {
  bool fits = false;
  char reason[400] = {};  // one line, where it does not: what is missing, and what to do
  // Operators that this library lacks in the type that the plan wants, or that the application has
  // not registered: `reason` names them. Plan::load refuses such a plan.
  int lacking_operators = 0;
  size_t plan_bytes = 0;  // of the plan itself, mapped or in flash
  // Of a session with these options. Packed weights are estimated; workspace and session are not
  // known where operators are lacking.
  MemoryReport memory;
  size_t required_bytes = 0;        // that SessionOptions::memory must have
  size_t ram_available = SIZE_MAX;  // SIZE_MAX: unknown
  // The most that loading, creating a session, a step, and checkpoints need of the calling thread's
  // stack: an upper bound, of what was measured.
  size_t stack_bytes = 0;
};

// Fails where the bytes are no plan, or damaged. That a plan does not fit is no error. Memory is
// taken for a moment only, a few kB, as Session::required_bytes takes it.
Status check_device(std::span<const std::byte> plan, const char* name,
                    const SessionOptions& options, const DeviceLimits& limits, DeviceCheck* check);
Status check_device(const Plan& plan, const SessionOptions& options, const DeviceLimits& limits,
                    DeviceCheck* check);

}  // namespace attune
#pragma GCC visibility pop
