#include "cli/output_file.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include "attune/plan.h"
#include "graph/import/model.h"
#include "graph/ir/error.h"
#include "sparse_update/json_file.h"

namespace attune::cli {

namespace fs = std::filesystem;

namespace {

nlohmann::json json_of(const std::string& path) {
  try {
    return read_json_file(path, path);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

void check_replaceable(const std::string& path, const char* kind,
                       bool (*is_kind)(const std::string& path)) {
  if (path.empty()) throw_error("-o: the name is empty");
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  const fs::path folder = fs::absolute(path, failure).parent_path();
  if (!fs::is_directory(folder, failure))
    throw_error("{}: its folder does not exist; create {}", path, folder.string());
  if (status.type() == fs::file_type::not_found) return;
  if (status.type() != fs::file_type::regular || !is_kind(path))
    throw_error("{}: exists and is not {}; it is left alone, choose another name", path, kind);
}

bool is_plan_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[sizeof(kPlanMagic)] = {};
  file.read(magic, sizeof(magic));
  return file.good() && std::memcmp(magic, kPlanMagic, sizeof(magic)) == 0;
}

bool is_scheme_file(const std::string& path) {
  const nlohmann::json json = json_of(path);
  return json.is_object() &&
         (json.contains("bias_last") || json.contains("layers") || json.contains("parameters"));
}

bool is_front_file(const std::string& path) {
  const nlohmann::json json = json_of(path);
  return json.is_object() && json.contains("memory_front") && json.contains("time_front");
}

bool is_svg_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char start[4] = {};
  file.read(start, sizeof(start));
  return file.good() && std::memcmp(start, "<svg", sizeof(start)) == 0;
}

bool is_model_file(const std::string& path) {
  try {
    load_model(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace attune::cli
