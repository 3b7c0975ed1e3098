#include "cli/output_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "attune/plan.h"
#include "graph/import/model.h"
#include "graph/ir/error.h"
#include "sparse_update/cost/target.h"
#include "sparse_update/json_file.h"
#include "sparse_update/pipeline/write_file.h"

namespace attune::cli {

namespace fs = std::filesystem;

namespace {

template <class Read>
bool can_read(const std::string& path, const Read& read) {
  try {
    read(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

nlohmann::json json_of(const std::string& path) {
  nlohmann::json json;
  can_read(path, [&](const std::string& file) { json = read_json_file(file, file); });
  return json;
}

// What other programs would take the file for.
std::string known_ending(const std::string& path) {
  static constexpr std::array kKnown = {
      ".att",         ".bmp", ".csv", ".dot",  ".gif",    ".h5",   ".html", ".jpeg",
      ".jpg",         ".npy", ".npz", ".json", ".onnx",   ".pdf",  ".png",  ".pt",
      ".safetensors", ".svg", ".tif", ".tiff", ".tflite", ".webp", ".zip"};
  std::string ending = fs::path(path).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kKnown.begin(), kKnown.end(), ending) != kKnown.end() ? ending : "";
}

}  // namespace

void check_replaceable(const std::string& path, const char* kind, const char* ending,
                       bool (*is_kind)(const std::string& path)) {
  if (path.empty()) throw_error("-o: the name is empty");
  if (is_written_through(path)) return;
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  const fs::path folder = fs::absolute(path, failure).parent_path();
  if (!fs::is_directory(folder, failure))
    throw_error("{}: its folder does not exist; create {}", path, folder.string());
  const bool exists = status.type() != fs::file_type::not_found;
  if (exists && (status.type() != fs::file_type::regular || !is_kind(path)))
    throw_error("{}: exists and is not {}; it is left alone, choose another name", path, kind);
  check_ending(path, kind, ending);
  check_can_be_written(path);
}

void check_ending(const std::string& path, const char* kind, const char* ending) {
  if (const std::string known = known_ending(path); !known.empty() && known != ending)
    throw_error("{}: {} is written as {}, not {}; give it a name that ends in {}", path, kind,
                ending, known, ending);
}

void check_model_replaceable(const std::string& path) {
  check_replaceable(path, "a model", path.ends_with(".tflite") ? ".tflite" : ".onnx",
                    [](const std::string& file) { return can_read(file, load_model); });
}

bool file_starts_with(const std::string& path, std::string_view start) {
  std::ifstream file(path, std::ios::binary);
  std::string read(start.size(), '\0');
  file.read(read.data(), static_cast<std::streamsize>(read.size()));
  return file.good() && read == start;
}

bool is_plan_file(const std::string& path) {
  return file_starts_with(path, {kPlanMagic, sizeof(kPlanMagic)});
}

bool is_scheme_file(const std::string& path) {
  const nlohmann::json json = json_of(path);
  return json.contains("bias_last") || json.contains("layers") || json.contains("parameters");
}

bool is_front_file(const std::string& path) {
  const nlohmann::json json = json_of(path);
  return json.contains("memory_front") && json.contains("time_front");
}

bool is_trace_file(const std::string& path) { return json_of(path).contains("traceEvents"); }

bool is_svg_file(const std::string& path) { return file_starts_with(path, "<svg"); }

bool is_target_file(const std::string& path) { return can_read(path, read_target); }

bool same_file(const std::string& a, const std::string& b) {
  const auto place = [](const std::string& path) {
    std::error_code none;
    return fs::weakly_canonical(fs::absolute(path, none), none);
  };
  return !a.empty() && !b.empty() && place(a) == place(b);
}

void check_files_differ(std::initializer_list<std::pair<const char*, std::string>> options) {
  for (const auto& a : options)
    for (const auto& b : options)
      if (&a < &b && same_file(a.second, b.second))
        throw_error("{} and {} are both {}; give each a file of its own", a.first, b.first,
                    a.second);
}

void write_text(const std::string& path, const std::string& text) {
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace attune::cli
