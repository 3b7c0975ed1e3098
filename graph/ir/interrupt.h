#pragma once

#include <functional>

namespace attune {

// How a caller ends what takes long on the host: it is asked now and then, and throws.
using InterruptCheck = std::function<void()>;

// As long as it lives, what this thread does asks `check`. The one before is asked no more.
class InterruptScope {
 public:
  explicit InterruptScope(InterruptCheck check);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  InterruptCheck check_;
  const InterruptCheck* outer_;
};

// Called by loops that may run for long, some times a second at least.
void check_interrupt();

}  // namespace attune
