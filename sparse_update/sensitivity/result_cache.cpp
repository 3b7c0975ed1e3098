#include "sparse_update/sensitivity/result_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "graph/ir/error.h"
#include "sparse_update/json_file.h"

namespace attune {

using nlohmann::json;

namespace {

constexpr std::string_view kStart = "{\"key\":\"";

}  // namespace

ResultCache::ResultCache(const std::string& path, Lost lost) : path_(path), lost_(std::move(lost)) {
  if (path.empty()) return;
  std::error_code failure;
  const auto kind = std::filesystem::status(path, failure).type();
  if (kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular)
    throw_error("{}: is no file; give another name for the cache", path);
  const bool regular = kind == std::filesystem::file_type::regular;
  const uint64_t bytes = regular ? std::filesystem::file_size(path, failure) : 0;
  if (!failure && bytes > kMaxJsonBytes)
    throw_error("{}: has {} bytes, and caches of at most {} are read; give another name", path,
                bytes, kMaxJsonBytes);
  bool ends_in_line = true, any = false;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    ends_in_line = !file.eof();
    const json entry = parse_plan_json(line.c_str());
    const bool good = entry.is_object() && entry.contains("key") && entry["key"].is_string() &&
                      entry.contains("result");
    // The first line tells whose file this is, also where a kill has cut it short.
    const bool cut = line.starts_with(kStart) || (!ends_in_line && kStart.starts_with(line));
    if (!any && !good && !cut)
      throw_error("{}: exists and is not a cache of results; it is left alone, choose another name",
                  path);
    any = true;
    if (good) results_[entry["key"]] = entry["result"];
  }
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0 && errno != ENOSPC && errno != EDQUOT)
    throw_error("{}: cannot be written: {}", path, std::strerror(errno));
  if (file_ < 0)
    lose(errno);
  else if (!ends_in_line)
    append("\n");  // a line that a kill has cut short ends here
}

ResultCache::~ResultCache() {
  if (file_ >= 0) ::close(file_);
}

std::optional<json> ResultCache::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = results_.find(key);
  if (found == results_.end()) return std::nullopt;
  return found->second;
}

void ResultCache::add(const std::string& key, const json& result) {
  const std::lock_guard lock(mutex_);
  results_[key] = result;
  if (file_ >= 0) append(json{{"key", key}, {"result", result}}.dump() + '\n');
}

void ResultCache::append(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(file_, text.data() + done, text.size() - done);
    if (n > 0)
      done += static_cast<size_t>(n);
    else if (n == 0 || errno != EINTR)
      return lose(n == 0 ? ENOSPC : errno);
  }
}

void ResultCache::lose(int error) {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  if (lost_) lost_(fmt::format("{}: cannot be written: {}", path_, std::strerror(error)));
}

}  // namespace attune
