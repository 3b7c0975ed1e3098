#include "cli/model_labels.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "cli/common.h"
#include "engine/io/zip.h"
#include "graph/ir/error.h"
#include "graph/training/loss.h"

namespace attune::cli {
namespace {

std::vector<std::string> labels_in(const Model& model) {
  const std::string name = model.label_file();
  if (name.empty()) return {};
  std::ifstream file(model.path(), std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const auto all = std::as_bytes(std::span(bytes));
  std::vector<ZipEntry> entries;
  throw_if_error(list_zip(model.path(), all, &entries));
  const auto entry = std::ranges::find(entries, name, &ZipEntry::name);
  if (entry == entries.end())
    throw_error("{}: its class names, {}, are not in it; give them with --labels", model.path(),
                name);
  constexpr uint64_t kMostBytes = uint64_t{16} << 20;
  if (entry->bytes > kMostBytes)
    throw_error("{}: its class names, {}, take {} bytes; give others with --labels", model.path(),
                name, entry->bytes);
  std::vector<std::byte> text;
  throw_if_error(extract_zip(model.path(), all, *entry, &text));
  std::istringstream lines(std::string(reinterpret_cast<const char*>(text.data()), text.size()));
  return class_names_of(lines, fmt::format("{}: {}", model.path(), name));
}

}  // namespace

std::vector<std::string> class_names_of(std::istream& text, const std::string& where) {
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    names.push_back(line);
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  if (const auto blank = std::ranges::find(names, ""); blank != names.end())
    throw_error("{}: line {} is blank; write a name for every class", where,
                blank - names.begin() + 1);
  if (names.empty()) throw_error("{}: holds no class names", where);
  return names;
}

void use_labels_of(const Model& model, CompileOptions* options, bool quiet) {
  if (!options->class_names.empty() || options->classes > 0) return;
  std::vector<std::string> names = labels_in(model);
  if (names.empty()) return;
  const int classes = class_count(forward_graph(model, *options, 1), options->loss);
  if (std::ssize(names) == classes)
    options->class_names = std::move(names);
  else if (!quiet)
    print_note(
        fmt::format("{}: its {} class names are not used, as it has {} classes; --labels gives "
                    "others",
                    model.path(), names.size(), classes));
}

}  // namespace attune::cli
