#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "attune/checkpoint.h"
#include "engine/format/checkpoint_file.h"
#include "engine/format/checkpoint_writer.h"
#include "engine/platform/posix/replace_file.h"

namespace attune {
namespace {

using namespace checkpoint;

Status check_not_foreign(const char* path, const Plan& plan, Replace replace) {
  int fd = -1;
  uint64_t bytes = 0;
  ATTUNE_RETURN_IF_ERROR(open_existing(path, &fd, &bytes));
  if (fd < 0) return Status::ok();
  Header header = {};
  const size_t present = static_cast<size_t>(std::min<uint64_t>(bytes, sizeof(header)));
  const bool read = read_at(fd, 0, &header, present);
  const int error = errno;
  close(fd);
  if (!read) return Status::error("%s: cannot be read: %s", path, strerror(error));
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return Status::error(
        "%s: exists and is not a checkpoint; it is left alone, choose another name", path);
  if (replace != Replace::any_checkpoint &&
      (header.signature != plan.table().signature() || header.real != plan.table().real()))
    return Status::error(
        "%s: exists and is a checkpoint of another model, scheme or optimizer; it is left alone, "
        "choose another name",
        path);
  return Status::ok();
}

Status open_replacement(const char* path, const Plan& plan, Replace replace,
                        FileReplacement* file) {
  ATTUNE_RETURN_IF_ERROR(check_not_foreign(path, plan, replace));
  ATTUNE_RETURN_IF_ERROR(file->open(path));
  if (replace == Replace::same_plan || !file->exists()) return Status::ok();
  char old[PATH_MAX + 4];
  snprintf(old, sizeof(old), "%s.old", file->target());
  return check_not_foreign(old, plan, Replace::any_checkpoint);
}

}  // namespace

Status check_checkpoint_path(const char* path, const Plan& plan, Replace replace) {
  FileReplacement file;
  return open_replacement(path, plan, replace, &file);
}

Status save_checkpoint(const char* path, const Session& session, const CheckpointInfo& info,
                       std::span<const std::byte> kept, Replace replace) {
  const format::Plan& plan = session.plan().table();
  Header header;
  ATTUNE_RETURN_IF_ERROR(begin_checkpoint(path, plan, session.state(), info, kept, &header));
  FileReplacement file;
  ATTUNE_RETURN_IF_ERROR(open_replacement(path, session.plan(), replace, &file));
  // What fails is told by `commit`.
  (void)write_checkpoint(file, header, plan, session.state(), kept);
  return file.commit(replace != Replace::same_plan);
}

}  // namespace attune
