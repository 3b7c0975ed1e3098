// In place of train.cpp: what the device is told to train, train.c trains.
#include "tests/devices/device.h"
#include "tests/devices/train.h"

namespace attune::device {

bool train(std::span<const std::byte> plan, int steps) {
  const ::device here = {print, memory().data(), memory().size()};
  return train_by_c(&here, plan.data(), plan.size(), steps) != 0;
}

}  // namespace attune::device
