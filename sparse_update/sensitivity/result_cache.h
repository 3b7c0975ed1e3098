#pragma once

#include <functional>
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
  // Takes what is wrong with the file, in words.
  using Lost = std::function<void(const std::string& why)>;

  // Reads what is there. An empty path: nothing is kept. Throws Error where the file is something
  // else than such a cache, or cannot be opened. Where it cannot grow (a full volume), that is told
  // `lost`, once, and results are kept in memory alone.
  explicit ResultCache(const std::string& path, Lost lost = {});
  ~ResultCache();
  ResultCache(const ResultCache&) = delete;
  ResultCache& operator=(const ResultCache&) = delete;

  std::optional<nlohmann::json> find(const std::string& key) const;
  // Writes the line out at once.
  void add(const std::string& key, const nlohmann::json& result);

 private:
  void append(const std::string& text);
  void lose(int error);

  std::string path_;
  Lost lost_;
  int file_ = -1;
  mutable std::mutex mutex_;
  std::map<std::string, nlohmann::json> results_;
};

}  // namespace attune
