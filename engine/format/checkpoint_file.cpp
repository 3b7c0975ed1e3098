#include "engine/format/checkpoint_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace attune::checkpoint {

Status open_existing(const char* path, int* fd, uint64_t* bytes) {
  *fd = -1;
  int opened;
  do {
    // Without waiting: a named pipe has no end, and is refused below.
    opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  } while (opened < 0 && errno == EINTR);
  if (opened < 0) {
    if (errno == ENOENT) return Status::ok();
    return Status::error("%s: cannot be opened: %s", path, strerror(errno));
  }
  struct stat info;
  if (fstat(opened, &info) != 0) {
    const int error = errno;
    close(opened);
    return Status::error("%s: cannot be examined: %s", path, strerror(error));
  }
  if (!S_ISREG(info.st_mode)) {
    close(opened);
    return Status::error("%s: is not a regular file", path);
  }
  *fd = opened;
  *bytes = static_cast<uint64_t>(info.st_size);
  return Status::ok();
}

bool read_at(int fd, uint64_t offset, void* out, size_t bytes) {
  char* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = pread(fd, to, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0) errno = 0;
      return false;
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

FileSource::~FileSource() {
  if (fd_ >= 0) close(fd_);
}

Status FileSource::open(const char* path) {
  ATTUNE_RETURN_IF_ERROR(open_existing(path, &fd_, &bytes_));
  if (fd_ < 0) return Status::error("%s: there is no such file", path);
  return Status::ok();
}

bool FileSource::read_at(uint64_t offset, void* out, size_t bytes) {
  if (checkpoint::read_at(fd_, offset, out, bytes)) return true;
  error_ = errno;
  return false;
}

const char* FileSource::why() const { return error_ ? strerror(error_) : "it ends early"; }

}  // namespace attune::checkpoint
