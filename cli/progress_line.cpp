#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "cli/common.h"
#include "cli/terminal.h"

namespace attune::cli {

ProgressLine::ProgressLine(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(const std::string& text) {
  if (quiet_) return;
  put_note((terminal_ ? "\r\x1b[K" : "") + shown(text) + (terminal_ ? "" : "\n"));
  open_ = terminal_;
}

void ProgressLine::finish() {
  if (open_) put_note("\n");
  open_ = false;
}

Progress work_progress(ProgressLine& line) {
  return [&line, last = std::string()](const std::string& what, size_t done, size_t of,
                                       double seconds_left) mutable {
    const bool is_new = std::exchange(last, what) != what;
    if (is_new) line.finish();
    if (!line.rewrites()) {
      if (is_new) line.show(what + " ...");
      return;
    }
    std::string text = what;
    if (of > 1) text += fmt::format("  {}/{}", done, of);
    if (seconds_left >= 0) text += fmt::format("  {} left", duration_text(seconds_left));
    line.show(text);
  };
}

}  // namespace attune::cli
