#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "graph/ir/error.h"
#include "sparse_update/pipeline/compile.h"

namespace attune {

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::string temporary = path + ".XXXXXX";
  const int file = ::mkstemp(temporary.data());
  if (file < 0) throw_error("{}: cannot write: {}", path, std::strerror(errno));
  const auto give_up = [&](const char* what) {
    const int error = errno;
    ::close(file);
    ::unlink(temporary.c_str());
    throw_error("{}: cannot {}: {}", path, what, std::strerror(error));
  };
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(file, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) give_up("write");
    done += static_cast<size_t>(n);
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(file, 0666 & ~mask) != 0) give_up("set the mode");
  if (::fsync(file) != 0) give_up("sync");
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up("rename");
  ::close(file);
}

}  // namespace attune
