#include "tests/bits/recorded.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "graph/ir/error.h"
#include "sparse_update/pipeline/preprocess_spec.h"
#include "tests/bits/networks.h"

namespace attune::test {
namespace {

constexpr const char* kFile = ATTUNE_SOURCE_DIR "/tests/bits/recorded.txt";
constexpr size_t kColumns = 9;

std::array<const std::string*, kColumns> cells_of(const Record& record) {
  const Figures& f = record.figures;
  return {&record.network, &record.scheme, &record.batch, &record.options, &f.gradients,
          &f.parameters,   &f.evaluated,   &f.losses,     &f.arena};
}

void set_option(const std::string& option, CompileOptions* options) {
  const size_t colon = option.find(':');
  const std::string name = option.substr(0, colon);
  const std::string value = colon == std::string::npos ? "" : option.substr(colon + 1);
  if (name == "sgd" || name == "momentum" || name == "adam" || name == "adamw")
    options->optimizer.kind = parse_optimizer(name);
  else if (name == "nesterov")
    options->optimizer.nesterov = true;
  else if (name == "decay")
    options->optimizer.weight_decay = std::stod(value);
  else if (name == "mean_squared_error")
    options->loss = Loss::mean_squared_error;
  else if (name == "f64")
    options->real = DType::f64;
  else if (name == "fresh")
    options->classes = std::stoi(value);
  else if (name == "bytes")
    options->preprocess = parse_preprocess("unit:" + value);
  else if (name == "unfused")
    options->fuse = false;
  else if (name == "unstreamed")
    options->stream = false;
  else if (name == "tile")
    options->tile = true;
  else if (name == "strips")
    options->split_gradients = true;
  else if (name == "masks")
    options->remake_masks = true;
  else if (name == "micro")
    options->micro_batch = std::stoi(value);
  else if (name == "budget")
    options->arena_budget = std::stoll(value), options->arena_may_exceed = true;
  else if (name != "exhaustive")  // The recorded arena is that of an exhaustive search, now gone.
    throw_error("recorded.txt: there is no option '{}'", option);
}

}  // namespace

CompileOptions Record::compile_options() const {
  CompileOptions result;
  result.scheme = scheme_of(network, scheme);
  result.batch = std::stoi(batch);
  std::istringstream list(options);
  for (std::string option; std::getline(list, option, ',');) set_option(option, &result);
  return result;
}

std::vector<Record> read_records() {
  std::ifstream file(kFile);
  std::vector<Record> records;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream cells(line);
    Record r;
    Figures& f = r.figures;
    if (!(cells >> r.network >> r.scheme >> r.batch >> r.options))
      throw_error("{}: '{}' is no row", kFile, line);
    // A new row has no figures yet.
    cells >> f.gradients >> f.parameters >> f.evaluated >> f.losses >> f.arena;
    records.push_back(std::move(r));
  }
  return records;
}

void write_records(const std::vector<Record>& records) {
  const Record heads{"# network",
                     "scheme",
                     "batch",
                     "options",
                     {"gradients", "parameters", "evaluated", "losses", "arena"}};
  std::vector<const Record*> rows = {&heads};
  for (const Record& record : records) rows.push_back(&record);
  std::array<size_t, kColumns> widths = {};
  for (const Record* row : rows)
    for (size_t c = 0; c < kColumns; ++c)
      widths[c] = std::max(widths[c], cells_of(*row)[c]->size());
  std::ofstream file(kFile);
  for (const Record* row : rows) {
    std::string line;
    for (size_t c = 0; c < kColumns; ++c)
      line += fmt::format("{:{}}  ", *cells_of(*row)[c], widths[c]);
    line.erase(line.find_last_not_of(' ') + 1);
    file << line << '\n';
  }
  file.close();
  if (!file) throw_error("{}: cannot be written", kFile);
}

}  // namespace attune::test
