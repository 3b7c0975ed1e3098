#include "cli/common.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "attune/byte_stream.h"
#include "attune/checkpoint.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/pipeline/plan_options.h"

namespace attune::cli {

CLI::App* add_verb(CLI::App& app, const char* name, const char* description, const char* examples) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->footer(examples);
  verb->option_defaults()->always_capture_default();
  return verb;
}

void OutputOptions::add(CLI::App* app) {
  app->add_flag("--json", json, "Print the result as one JSON document");
  app->add_flag("--quiet,-q", quiet, "Print nothing but the result and errors");
}

void SessionChoice::add(CLI::App* app) {
  backend_option_ =
      app->add_option("--backend", backend,
                      "Kernels to run: best, reference, eigen, simd or xnnpack; where the one "
                      "asked for lacks "
                      "an operator, the next one of xnnpack, simd, eigen, reference runs it. A "
                      "plan that was "
                      "compiled with --backend runs on that one, unless another is given")
          ->check(CLI::IsMember({"best", "reference", "eigen", "simd", "xnnpack"}));
  app->add_option("--threads", threads,
                  "Threads, the program's own included; the result does not depend on it. More "
                  "help large models, where as many processors are idle")
      ->check(CLI::Range(1, 1024));
  if (app->get_option_no_throw("plan")) signatures.add(app);  // not of verbs that make plans
}

bool SessionChoice::names_backend() const {
  return named || (backend_option_ && backend_option_->count() > 0);
}

SessionOptions SessionChoice::options() const {
  SessionOptions options;
  options.threads = threads;
  for (int i = 0; i < kBackendCount; ++i) {
    const auto asked = static_cast<Backend>(i);
    if (backend != backend_name(asked)) continue;
    if (!backend_available(asked))
      throw_error("--backend {}: this program was built without it{}", backend,
                  asked == Backend::eigen ? "" : ", or the processor lacks what it needs");
    // `best` stands before the backends.
    static_assert(static_cast<int>(BackendChoice::simd) == static_cast<int>(Backend::simd) + 1);
    options.backend = static_cast<BackendChoice>(i + 1);
  }
  return options;
}

void TargetChoice::add(CLI::App* app) {
  app->add_option("--target", path,
                  "Estimate times on this machine, a JSON file (`attune profile` writes one)");
}

std::optional<Target> TargetChoice::target(int threads) const {
  if (path.empty()) return std::nullopt;
  Target target = read_target(path);
  if (target.threads != threads)
    print_note(fmt::format("{} was measured with --threads {}, this session has {}", path,
                           target.threads, threads));
  return target;
}

std::unique_ptr<Rates> TargetChoice::rates(int threads) const {
  std::optional<Target> found = target(threads);
  return found ? std::make_unique<Rates>(std::move(*found)) : nullptr;
}

CLI::Validator is_seed() {
  const auto check = [](const std::string& text) {
    uint64_t seed = 0;
    return parse_number(text, &seed) ? std::string()
                                     : text + " is no whole number in 0 .. 2^64 - 1";
  };
  return CLI::Validator(check, "");
}

void print_json(const Json& json) {
  put(escaped_json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + '\n');
}

Json number_json(double number) { return std::isfinite(number) ? Json(number) : Json(); }

std::string dump_line(const Json& json) {
  return escaped_json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

namespace {

NoteTaker note_taker;

}  // namespace

void take_notes(NoteTaker taker) { note_taker = std::move(taker); }

void print_note(const std::string& text) {
  if (note_taker) return note_taker(text);
  put_note("attune: " + shown(text) + '\n');
}

int32_t LoadedPlan::classes() const { return table().class_count(); }

std::string LoadedPlan::class_name(int32_t number) const {
  const auto* names = table().classes();
  const auto index = static_cast<unsigned>(number);
  return names && index < names->size() ? names->Get(index)->str() : std::to_string(number);
}

std::unique_ptr<LoadedPlan> load_plan(const std::string& path, const SessionChoice& choice,
                                      unsigned programs) {
  auto loaded = std::make_unique<LoadedPlan>();
  loaded->signatures = choice.signatures;
  if (choice.signatures.required()) {
    loaded->memory = choice.signatures.verified(path, SignedFile::plan);
    throw_if_error(Plan::from_memory(loaded->memory.bytes(), path.c_str(), &loaded->plan));
  } else {
    throw_if_error(Plan::load(path.c_str(), &loaded->plan));
  }
  open_session(*loaded, choice, programs);
  return loaded;
}

void open_session(LoadedPlan& loaded, const SessionChoice& choice, unsigned programs) {
  SessionChoice chosen = choice;
  if (const PlannedBackend planned = backend_of_plan(loaded.plan); !planned.name.empty()) {
    if (!choice.names_backend()) chosen.backend = planned.name;
    loaded.backend = chosen.backend;
    if (chosen.backend == planned.name)
      loaded.backend += ", as compiled";
    else if (planned.memory_budget > 0)
      loaded.backend += fmt::format("; the plan keeps within {} with {} alone",
                                    bytes_text(planned.memory_budget), planned.name);
    else
      loaded.backend += fmt::format("; the plan was compiled for {}", planned.name);
  }
  SessionOptions options = chosen.options();
  options.programs = programs;
  throw_if_error(Session::create(loaded.plan, options, &loaded.session));
}

namespace {

// A checkpoint in memory.
class BytesInMemory final : public ByteSource {
 public:
  explicit BytesInMemory(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  bool read_at(uint64_t offset, void* out, size_t count) override {
    std::memcpy(out, bytes_.data() + offset, count);
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

void load_parameters(LoadedPlan& loaded, const std::string& path) {
  if (path.empty()) return;
  if (!loaded.signatures.required()) {
    throw_if_error(load_checkpoint(path.c_str(), *loaded.session, nullptr));
    return;
  }
  const SignedBytes verified = loaded.signatures.verified(path, SignedFile::checkpoint);
  BytesInMemory source(verified.bytes());
  throw_if_error(load_checkpoint(source, path.c_str(), *loaded.session, nullptr));
}

DatasetRequest data_request(const Session& session, ProgramKind kind) {
  DatasetRequest request;
  throw_if_error(attune::data_request(session, kind, &request));
  request.ignored_label = ignored_label_of_plan(session.plan());
  return request;
}

std::unique_ptr<Dataset> open_data(const Session& session, ProgramKind kind,
                                   const std::string& path, const DataOptions& options) {
  DatasetRequest request = data_request(session, kind);
  options.apply(&request);
  std::unique_ptr<Dataset> data;
  throw_if_error(open_dataset(path, request, &data));
  if (data->size() < 1) throw_error("{}: holds no examples", path);
  return data;
}

size_t print_notes(const Dataset& data, bool quiet, size_t first) {
  const auto count = static_cast<size_t>(data.note_count());
  for (size_t i = first; i < count && !quiet; ++i)
    print_note(std::string(data.note(static_cast<int>(i))));
  return count;
}

std::string bytes_text(size_t bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} B", bytes);
  if (value < 999.5e3) return fmt::format("{:.1f} kB", value / 1e3);
  if (value < 999.5e6) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.2f} GB", value / 1e9);
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace attune::cli
