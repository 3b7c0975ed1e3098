#include "cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace attune::cli {

void open_standard_streams() {
  // In order, as each takes the lowest number that is free. A folder can be neither read nor
  // written, so that using it fails, as it would have.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/", O_RDONLY | O_DIRECTORY);
}

std::string output_error() {
  errno = 0;
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout);
  if (!failed) return {};
  const int error = errno;
  return std::string("standard output cannot be written: ") +
         (error == 0 ? "part of it is lost" : std::strerror(error));
}

}  // namespace attune::cli
