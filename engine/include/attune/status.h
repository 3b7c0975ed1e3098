#pragma once

namespace attune {

// Success, or one line that says what went wrong, where, and what to do. As large as a pointer:
// the text of an error is taken from the heap. Where there is none (ATTUNE_PLATFORM=none), all
// errors share one static text, which is that of the last one.
class [[nodiscard, gnu::visibility("default")]] Status {
 public:
  Status() = default;
  Status(const Status& other);
  Status(Status&& other) noexcept : text_(other.text_) { other.text_ = nullptr; }
  Status& operator=(const Status& other);
  Status& operator=(Status&& other) noexcept;
  ~Status() {
    if (text_) release();
  }

  static Status ok() { return {}; }
  __attribute__((format(printf, 1, 2))) static Status error(const char* format, ...);

  bool is_ok() const { return text_ == nullptr; }
  explicit operator bool() const { return is_ok(); }
  // Valid as long as the status; empty where nothing went wrong.
  const char* message() const { return text_ ? text_ : ""; }

 private:
  void release();
  char* text_ = nullptr;
};

#define ATTUNE_RETURN_IF_ERROR(expression)                                 \
  do {                                                                     \
    if (::attune::Status status_ = (expression); !status_) return status_; \
  } while (0)

}  // namespace attune
