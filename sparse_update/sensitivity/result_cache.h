#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace attune {

// Results by key, in a file of JSON lines that grows by one line a result, so that what was done
// before an interruption is not done again. A line that is cut short or damaged is passed over.
// Several threads may use one cache.
class ResultCache {
 public:
  // Reads what is there. An empty path: nothing is kept. Throws Error where the file is something
  // else than such a cache, or cannot be written.
  explicit ResultCache(const std::string& path);
  ~ResultCache();
  ResultCache(const ResultCache&) = delete;
  ResultCache& operator=(const ResultCache&) = delete;

  std::optional<nlohmann::json> find(const std::string& key) const;
  // Writes the line out at once.
  void add(const std::string& key, const nlohmann::json& result);

 private:
  std::string path_;
  int file_ = -1;
  mutable std::mutex mutex_;
  std::map<std::string, nlohmann::json> results_;
};

}  // namespace attune
