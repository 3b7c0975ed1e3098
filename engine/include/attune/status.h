#pragma once

#include <cstdarg>
#include <cstdio>

namespace attune {

// Success, or one line that says what went wrong, where, and what to do. Holds its text inline:
// making one never allocates.
class [[nodiscard]] Status {
 public:
  Status() { message_[0] = '\0'; }
  static Status ok() { return Status(); }
  __attribute__((format(printf, 1, 2))) static Status error(const char* format, ...) {
    Status status;
    status.ok_ = false;
    va_list args;
    va_start(args, format);
    std::vsnprintf(status.message_, sizeof(status.message_), format, args);
    va_end(args);
    return status;
  }

  bool is_ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const char* message() const { return message_; }

 private:
  bool ok_ = true;
  char message_[640];
};

#define ATTUNE_RETURN_IF_ERROR(expression)                                 \
  do {                                                                     \
    if (::attune::Status status_ = (expression); !status_) return status_; \
  } while (0)

}  // namespace attune
