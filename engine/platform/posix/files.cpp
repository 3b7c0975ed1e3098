#include "engine/platform/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "engine/platform/memory.h"

namespace attune {

Status map_file(const char* path, const char* what, std::span<const std::byte>* bytes) {
  // Without waiting: a named pipe is refused below.
  const int file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return Status::error("%s: cannot open %s: %s", path, what, std::strerror(errno));
  struct stat info;
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(file);
    return Status::error("%s: not a file; give %s", path, what);
  }
  if (info.st_size < 1 || static_cast<uint64_t>(info.st_size) > SIZE_MAX / 2) {
    ::close(file);
    return Status::error("%s: %s of %lld bytes; it is %s", path, what,
                         static_cast<long long>(info.st_size),
                         info.st_size < 1 ? "empty" : "more than this device can address");
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) memory_was_refused() = errno == ENOMEM;
  if (memory == MAP_FAILED)
    return Status::error("%s: cannot map %s: %s", path, what, std::strerror(errno));
  *bytes = {static_cast<const std::byte*>(memory), size};
  return Status::ok();
}

void unmap_file(std::span<const std::byte> bytes) {
  ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

}  // namespace attune
