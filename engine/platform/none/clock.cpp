#include "engine/platform/clock.h"

namespace attune {

int64_t clock_microseconds() { return -1; }

}  // namespace attune
