#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "graph/ir/interrupt.h"

namespace attune {

// What is being done, how far, and the seconds left (negative: not known).
using Progress =
    std::function<void(const std::string& what, size_t done, size_t of, double seconds_left)>;

// Counts the parts of a work, which several threads may do, and reports them.
class WorkCount {
 public:
  // `progress` must outlive it.
  WorkCount(const Progress& progress, std::string what, size_t of)
      : progress_(progress), what_(std::move(what)), of_(of) {}

  // `timed`: whether they took as long as those that are left; else they tell nothing of these.
  void add(size_t parts, bool timed) {
    check_interrupt();
    const std::lock_guard lock(mutex_);
    done_ += parts;
    if (timed) timed_ += parts;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
    const double left = timed_ == 0 ? -1
                                    : seconds.count() / static_cast<double>(timed_) *
                                          static_cast<double>(of_ - done_);
    if (progress_) progress_(what_, done_, of_, left);
  }

 private:
  const Progress& progress_;
  std::string what_;
  size_t of_, done_ = 0, timed_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
};

}  // namespace attune
