#pragma once

#include <cstdint>

namespace attune {

// Microseconds since any moment, never going back; negative where the system has no clock.
int64_t clock_microseconds();

}  // namespace attune
