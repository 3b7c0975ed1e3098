#include "engine/platform/posix/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>

namespace attune {
namespace {

constexpr int kNames = 100, kSharedNames = 8;

// For calls that may be asked again. Not renaming: it may be done when it says EINTR.
template <class F>
auto retry(const F& call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// What remove_temporaries takes away. A folder of kFree or kTaken is none.
constexpr int kFree = -1, kTaken = -2;
struct Temporary {
  std::atomic<int> folder{kFree};
  char name[NAME_MAX + 1];
};
Temporary temporaries[8];

void remember(int folder, const char* name) {
  for (Temporary& t : temporaries) {
    int free = kFree;
    if (!t.folder.compare_exchange_strong(free, kTaken)) continue;
    strcpy(t.name, name);
    t.folder = folder;
    return;
  }
}

void forget(int folder, const char* name) {
  for (Temporary& t : temporaries)
    if (t.folder == folder && strcmp(t.name, name) == 0) t.folder = kFree;
}

}  // namespace

void remove_temporaries() {
  for (const Temporary& t : temporaries)
    if (const int folder = t.folder; folder >= 0) unlinkat(folder, t.name, 0);
}

FileReplacement::~FileReplacement() {
  discard();
  if (folder_ >= 0) close(folder_);
}

void FileReplacement::discard() {
  if (file_ < 0) return;
  if (*temporary_) {
    unlinkat(folder_, temporary_, 0);
    forget(folder_, temporary_);
  }
  close(file_);
  file_ = -1;
}

Status FileReplacement::failed(const char* what) const {
  return Status::error("%s: %s: %s; %s", path_, what, strerror(error_),
                       exists_ ? "what was there is unchanged" : "nothing is left behind");
}

Status FileReplacement::resolve() {
  if (*path_ == '\0') return Status::error("the name of the file is empty");
  struct stat info;
  if (lstat(path_, &info) == 0 && S_ISLNK(info.st_mode)) {
    if (!realpath(path_, target_))
      return Status::error("%s: is a link that leads nowhere: %s", path_, strerror(errno));
  } else {
    if (strlen(path_) + 32 > sizeof(target_)) return Status::error("%.100s...: too long", path_);
    strcpy(target_, path_);
  }
  const char* const slash = strrchr(target_, '/');
  name_ = slash ? slash + 1 : target_;
  return Status::ok();
}

// Open for as long as the file is replaced, so that it is the same one throughout.
static int open_folder(const char* target, const char* name) {
  char folder[PATH_MAX] = ".";
  if (name != target) {
    const auto length = static_cast<size_t>(name - target);
    memcpy(folder, target, length);
    folder[length] = '\0';
  }
  int fd = retry([&] { return ::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
#ifdef O_PATH
  // One may write to a folder that one may not read; it cannot be synced then.
  if (fd < 0 && errno == EACCES) fd = ::open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
#endif
  return fd;
}

Status FileReplacement::open(const char* path) {
  path_ = path;
  ATTUNE_RETURN_IF_ERROR(resolve());
  folder_ = open_folder(target_, name_);
  struct stat info;
  exists_ = folder_ >= 0 && fstatat(folder_, name_, &info, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists_ && (folder_ < 0 || errno != ENOENT)) {
    error_ = errno;
    return failed("cannot be created in its folder");
  }
  if (exists_) {
    if (!S_ISREG(info.st_mode)) return Status::error("%s: is not a regular file", path_);
    if (faccessat(folder_, name_, W_OK, 0) != 0) {
      error_ = errno;
      return failed("must not be written");
    }
    mode_ = info.st_mode & 0777;
    owner_ = info.st_uid;
    group_ = info.st_gid;
  }
  return create_temporary() ? Status::ok() : failed("cannot be created in its folder");
}

bool FileReplacement::create_temporary() {
  // Room for what is put behind the name; whole characters of UTF-8.
  int length = static_cast<int>(strnlen(name_, NAME_MAX - 40));
  while (length > 0 && (name_[length] & 0xc0) == 0x80) --length;
  for (int i = 0; i < kNames; ++i) {
    // Where nobody can lock, what is stale is not known, and names run out: then each process has
    // its own.
    if (i < kSharedNames)
      snprintf(temporary_, sizeof(temporary_), "%.*s.attune-tmp-%d", length, name_, i);
    else
      snprintf(temporary_, sizeof(temporary_), "%.*s.attune-tmp-%d-%ld", length, name_, i,
               static_cast<long>(getpid()));
    const auto create = [&] {
      return openat(folder_, temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    exists_ ? 0600 : 0666);
    };
    file_ = retry(create);
    if (file_ < 0 && errno == EEXIST && remove_stale()) file_ = retry(create);
    if (file_ >= 0 && lock_temporary()) {
      remember(folder_, temporary_);
      char link[sizeof(temporary_) + 4];
      unlinkat(folder_, second_name(link), 0);
      return true;
    }
    if (file_ < 0 && errno != EEXIST) break;
    if (file_ >= 0) close(file_);
    file_ = -1;
  }
  error_ = errno;
  *temporary_ = '\0';
  return false;
}

// False where somebody took the new file for a stale one.
bool FileReplacement::lock_temporary() {
  if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  struct stat info;
  return fstat(file_, &info) != 0 || info.st_nlink > 0;
}

// Whether the temporary was left by a process that is no more, and is taken away now.
bool FileReplacement::remove_stale() {
  const int stale = retry(
      [&] { return openat(folder_, temporary_, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); });
  if (stale < 0) {
    errno = EEXIST;
    return false;
  }
  struct stat locked, named;
  const bool removed = flock(stale, LOCK_EX | LOCK_NB) == 0 && fstat(stale, &locked) == 0 &&
                       fstatat(folder_, temporary_, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                       S_ISREG(locked.st_mode) && locked.st_dev == named.st_dev &&
                       locked.st_ino == named.st_ino && unlinkat(folder_, temporary_, 0) == 0;
  close(stale);
  errno = EEXIST;
  return removed;
}

bool FileReplacement::begin(uint64_t total) {
  if (total == 0) return true;
#ifdef __linux__
  if (retry([&] { return fallocate(file_, 0, 0, static_cast<off_t>(total)); }) == 0) return true;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
    error_ = errno;
    return false;
  }
#endif
  struct statvfs space;
  if (fstatvfs(file_, &space) == 0 && space.f_blocks > 0 &&
      static_cast<uint64_t>(space.f_bavail) * space.f_frsize < total)
    error_ = ENOSPC;
  return error_ == 0;
}

bool FileReplacement::write(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (error_ == 0 && bytes > 0) {
    const ssize_t written = retry([&] { return ::write(file_, from, bytes); });
    if (written <= 0) {
      error_ = written == 0 ? EIO : errno;
      break;
    }
    from += written;
    bytes -= static_cast<size_t>(written);
  }
  return error_ == 0;
}

void FileReplacement::keep_mode() {
  struct stat info;
  if (!exists_ || fstat(file_, &info) != 0) return;
  // Only root may give a file away. Another group than the old one's gets no rights.
  const bool same_group = (info.st_uid == owner_ && info.st_gid == group_) ||
                          fchown(file_, owner_, group_) == 0 ||
                          fchown(file_, static_cast<uid_t>(-1), group_) == 0;
  if (fchmod(file_, same_group ? mode_ : mode_ & 0707) != 0) error_ = errno;
}

Status FileReplacement::commit(bool keep_old) {
  if (error_ == 0) keep_mode();
  if (error_ == 0 && retry([&] { return fsync(file_); }) != 0) error_ = errno;
  if (error_ != 0) return failed("cannot be written");
  if (keep_old && exists_) ATTUNE_RETURN_IF_ERROR(keep_old_file());
  if (renameat(folder_, temporary_, folder_, name_) != 0) {
    error_ = errno;
    return failed("cannot be written");
  }
  forget(folder_, temporary_);
  *temporary_ = '\0';
  discard();
  // So that the new name survives a power cut. File systems that cannot do it say so, and are let
  // be.
  if (retry([&] { return fsync(folder_); }) != 0 && errno != EINVAL && errno != ENOTSUP &&
      errno != EROFS && errno != EBADF)
    return Status::error("%s: written, but its folder cannot be synced: %s", path_,
                         strerror(errno));
  return Status::ok();
}

const char* FileReplacement::second_name(char (&name)[NAME_MAX + 5]) const {
  snprintf(name, sizeof(name), "%s.old", temporary_);
  return name;
}

// By a second name, so that the first one is there all the time.
Status FileReplacement::keep_old_file() {
  char link[sizeof(temporary_) + 4], old[NAME_MAX + 5];
  second_name(link);
  snprintf(old, sizeof(old), "%s.old", name_);
  if (linkat(folder_, name_, folder_, link, 0) != 0) return copy_to_old();
  const int renamed = renameat(folder_, link, folder_, old);
  error_ = renamed == 0 ? 0 : errno;
  unlinkat(folder_, link, 0);  // it stays where both names were of one file already
  return renamed == 0 ? Status::ok() : failed("cannot be kept as .old");
}

// For file systems without second names.
Status FileReplacement::copy_to_old() {
  char old[PATH_MAX + 4];
  snprintf(old, sizeof(old), "%s.old", target_);
  const int from = retry([&] { return openat(folder_, name_, O_RDONLY | O_CLOEXEC); });
  struct stat info;
  if (from < 0 || fstat(from, &info) != 0) {
    error_ = errno;
    if (from >= 0) close(from);
    return failed("cannot be kept as .old");
  }
  FileReplacement copy;
  Status status = copy.open(old);
  if (status) (void)copy.begin(static_cast<uint64_t>(info.st_size));
  char block[1024];
  ssize_t got = 0;
  while (status && (got = retry([&] { return read(from, block, sizeof(block)); })) > 0)
    (void)copy.write(block, static_cast<size_t>(got));
  if (got < 0) copy.error_ = errno;
  close(from);
  if (!status) return status;
  return copy.commit();
}

}  // namespace attune
