#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_file.h"
#include "engine/format/checkpoint_writer.h"

namespace attune {
namespace {

using namespace checkpoint;

struct Path {
  char text[PATH_MAX] = {};
};

// Where the file really is: a symlink stays one, and what it points at is replaced.
Status resolve(const char* path, Path* real) {
  struct stat info;
  if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
    if (!realpath(path, real->text))
      return Status::error("%s: is a link that leads nowhere: %s", path, strerror(errno));
    return Status::ok();
  }
  if (*path == '\0') return Status::error("the name of the checkpoint is empty");
  if (strlen(path) + 32 > sizeof(real->text)) return Status::error("%.100s...: too long", path);
  strcpy(real->text, path);
  return Status::ok();
}

// `mode` receives that of the existing file, or -1.
Status check_not_foreign(const char* path, const Plan& plan, Replace replace, int* mode) {
  *mode = -1;
  int fd = -1;
  uint64_t bytes = 0;
  unsigned permissions = 0;
  ATTUNE_RETURN_IF_ERROR(open_existing(path, &fd, &bytes, &permissions));
  if (fd < 0) return Status::ok();
  Header header = {};
  const size_t present = static_cast<size_t>(std::min<uint64_t>(bytes, sizeof(header)));
  const bool read = read_at(fd, 0, &header, present);
  close(fd);
  if (!read) return Status::error("%s: cannot be read: %s", path, strerror(errno));
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return Status::error(
        "%s: exists and is not a checkpoint; it is left alone, choose another name", path);
  if (replace == Replace::same_plan &&
      (header.signature != plan.table().signature() || header.real != plan.table().real()))
    return Status::error(
        "%s: exists and is a checkpoint of another model, scheme or optimizer; it is left alone, "
        "choose another name",
        path);
  *mode = static_cast<int>(permissions);
  return Status::ok();
}

Status create_temporary(const char* path, Path* temporary, int* fd) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int length = snprintf(temporary->text, sizeof(temporary->text), "%s.tmp-%ld-%u", path,
                                static_cast<long>(getpid()), counter++);
    if (length < 0 || static_cast<size_t>(length) >= sizeof(temporary->text))
      return Status::error("%.100s...: too long", path);
    *fd = open(temporary->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (*fd >= 0) return Status::ok();
    if (errno != EEXIST && errno != EINTR) break;
  }
  return Status::error("%s: cannot be created in its folder: %s", path, strerror(errno));
}

// So that the new name survives a power cut. File systems that cannot do it say so, and are let be.
Status sync_folder(const char* path) {
  Path folder;
  strcpy(folder.text, path);
  char* const slash = strrchr(folder.text, '/');
  if (!slash)
    strcpy(folder.text, ".");
  else
    slash[slash == folder.text ? 1 : 0] = '\0';
  int fd;
  do {
    fd = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Status::ok();  // one may write to a folder that one may not read
  int error = 0;
  while (fsync(fd) != 0) {
    if (errno == EINTR) continue;
    error = errno;
    break;
  }
  close(fd);
  if (error != 0 && error != EINVAL && error != ENOTSUP && error != EROFS && error != EBADF)
    return Status::error("%s: written, but its folder cannot be synced: %s", path, strerror(error));
  return Status::ok();
}

}  // namespace

Status check_checkpoint_path(const char* path, const Plan& plan, Replace replace) {
  Path real, temporary;
  ATTUNE_RETURN_IF_ERROR(resolve(path, &real));
  int mode = -1, fd = -1;
  ATTUNE_RETURN_IF_ERROR(check_not_foreign(real.text, plan, replace, &mode));
  ATTUNE_RETURN_IF_ERROR(create_temporary(real.text, &temporary, &fd));
  close(fd);
  unlink(temporary.text);
  return Status::ok();
}

Status save_checkpoint(const char* path, const Session& session, const CheckpointInfo& info,
                       std::span<const std::byte> kept, Replace replace) {
  const format::Plan& plan = session.plan().table();
  Header header;
  ATTUNE_RETURN_IF_ERROR(begin_checkpoint(path, plan, session.state(), info, kept, &header));
  Path real, temporary;
  ATTUNE_RETURN_IF_ERROR(resolve(path, &real));
  int mode = -1, fd = -1;
  ATTUNE_RETURN_IF_ERROR(check_not_foreign(real.text, session.plan(), replace, &mode));
  ATTUNE_RETURN_IF_ERROR(create_temporary(real.text, &temporary, &fd));

  FileSink sink(fd);
  int error = write_checkpoint(sink, header, plan, session.state(), kept) ? 0 : sink.error();
  while (error == 0 && fsync(fd) != 0)
    if (errno != EINTR) error = errno;
  if (error == 0 && mode >= 0 && fchmod(fd, static_cast<mode_t>(mode)) != 0) error = errno;
  // After EINTR the descriptor is closed, and the data is synced already.
  if (close(fd) != 0 && errno != EINTR && error == 0) error = errno;
  if (error == 0 && rename(temporary.text, real.text) != 0) error = errno;
  if (error != 0) {
    unlink(temporary.text);
    return Status::error("%s: the checkpoint cannot be written: %s; what was there is unchanged",
                         path, strerror(error));
  }
  return sync_folder(real.text);
}

}  // namespace attune
