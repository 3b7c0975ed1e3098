#include "engine/platform/clock.h"

#include <time.h>

namespace attune {

int64_t clock_microseconds() {
  timespec now = {};
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return -1;
  return int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

}  // namespace attune
