#include "attune/status.h"

#include <cstdarg>
#include <utility>

#include "engine/platform/error_text.h"

namespace attune {

Status::Status(const Status& other) : text_(other.text_ ? copy_error_text(other.text_) : nullptr) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) *this = Status(other);
  return *this;
}

Status& Status::operator=(Status&& other) noexcept {
  std::swap(text_, other.text_);
  return *this;
}

Status Status::error(const char* format, ...) {
  Status status;
  va_list arguments;
  va_start(arguments, format);
  status.text_ = make_error_text(format, arguments);
  va_end(arguments);
  return status;
}

void Status::release() { release_error_text(text_); }

}  // namespace attune
