#include "sparse_update/pipeline/write_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/platform/posix/replace_file.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

// A descriptor that the caller of the program has opened, by its name; else -1. Opened anew, a file
// behind it would be overwritten from its start.
int given_descriptor(const std::string& path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string folder : {"/dev/fd/", "/proc/self/fd/"}) {
    const std::string number = path.starts_with(folder) ? path.substr(folder.size()) : "";
    if (!number.empty() && number.size() < 6 &&
        number.find_first_not_of("0123456789") == std::string::npos)
      return std::stoi(number);
  }
  return -1;
}

// Without waiting for a pipe's reader, which might never come.
int open_special(const std::string& path) {
  const int given = given_descriptor(path);
  const int file = given >= 0 ? ::fcntl(given, F_DUPFD_CLOEXEC, 3)
                              : ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (file < 0 && errno == ENXIO)
    throw_error("{}: nobody reads this pipe; start its reader first", path);
  if (file >= 0 && given < 0) ::fcntl(file, F_SETFL, 0);
  return file;
}

void write_through(const std::string& path, std::span<const std::byte> bytes) {
  const int file = open_special(path);
  bool good = file >= 0;
  for (size_t done = 0; good && done < bytes.size();) {
    const ssize_t n = ::write(file, bytes.data() + done, bytes.size() - done);
    if (n > 0)
      done += static_cast<size_t>(n);
    else
      good = n < 0 && errno == EINTR;
  }
  const int error = errno;
  if (file >= 0) ::close(file);
  if (!good) throw_error("{}: cannot be written: {}", path, std::strerror(error));
}

}  // namespace

bool is_written_through(const std::string& path) {
  struct stat info;
  return given_descriptor(path) >= 0 ||
         (::stat(path.c_str(), &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)));
}

void check_can_be_written(const std::string& path) {
  if (is_written_through(path)) return;
  FileReplacement file;
  throw_if_error(file.open(path.c_str()));
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  if (is_written_through(path)) return write_through(path, bytes);
  FileReplacement file;
  throw_if_error(file.open(path.c_str()));
  if (file.begin(bytes.size())) (void)file.write(bytes.data(), bytes.size());
  throw_if_error(file.commit());
}

}  // namespace attune
