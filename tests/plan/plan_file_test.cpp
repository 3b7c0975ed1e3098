#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/format/plan_tensor.h"
#include "engine/random.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/plan/read_plan.h"
#include "sparse_update/pipeline/write_file.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

std::vector<std::byte> small_plan(const std::string& scheme = "full", int micro_batch = 0) {
  return compile(convnet(), options_with(scheme,
                                         [&](CompileOptions& o) {
                                           o.batch = 2, o.micro_batch = micro_batch;
                                           o.class_names = {"a", "b", "c", "d", "e"};
                                         }))
      .plan;
}

std::string load_error(std::span<const std::byte> bytes, size_t misalignment = 0) {
  AlignedBytes memory(bytes, misalignment);
  Plan plan;
  const Status status = Plan::from_memory(memory.bytes(), "test.att", &plan);
  return status ? "" : status.message();
}

// Runs every program that a plan has. What a damaged plan computes is nobody's business; that it
// stays inside its memory is.
void run_everything(const Plan& plan) {
  SessionOptions options;
  options.backend = BackendChoice::reference;
  std::unique_ptr<Session> session;
  if (!Session::create(plan, options, &session)) return;
  for (ProgramKind kind : {ProgramKind::train_step, ProgramKind::evaluate, ProgramKind::predict}) {
    if (!session->has(kind)) continue;
    for (int i = 0; i < session->port_count(kind); ++i)
      if (const SessionPort port = session->port(kind, i); is_fed(port.role))
        std::memset(port.tensor.data, 0, port.tensor.bytes());
    (void)session->run(kind);
  }
  (void)plan.preprocess();
}

TEST_CASE("a plan says how pictures are interpolated") {
  for (const Interpolation interpolation :
       {Interpolation::bilinear_aliased, Interpolation::bilinear, Interpolation::bicubic}) {
    const Compiled compiled = compile(convnet(), options_with("head", [&](CompileOptions& o) {
                                        o.preprocess.front_end = FrontEnd::image;
                                        o.preprocess.image.width = o.preprocess.image.height = 9;
                                        o.preprocess.image.interpolation = interpolation;
                                      }));
    CHECK(LoadedPlan(compiled.plan).plan().preprocess().image.interpolation == interpolation);
    if (interpolation != Interpolation::bicubic) continue;
    PlanContents contents = compiled.contents;
    contents.preprocess.image.interpolation = static_cast<Interpolation>(3);
    CHECK(contains(load_error(write_plan(contents)), "preprocessing is out of range"));
  }
}

TEST_CASE("a plan reads back what was written into it") {
  const Compiled compiled = compile(convnet(), options_with("bias:2", [](CompileOptions& o) {
                                      o.batch = 4, o.evaluate_batch = 3, o.predict_batch = 2;
                                      o.class_names = {"a", "b", "c", "d", "e"};
                                      o.optimizer.kind = OptimizerKind::adam;
                                    }));
  LoadedPlan loaded(compiled.plan);
  const format::Plan& table = loaded.plan().table();
  CHECK(table.model_name()->str() == "convnet.onnx");
  CHECK(table.model_hash() == convnet().hash());
  CHECK(table.class_count() == 5);
  CHECK(table.classes()->Get(4)->str() == "e");
  CHECK(table.scheme()->str() == compiled.contents.scheme);
  CHECK(table.parameters()->size() == compiled.contents.parameters.size());
  const auto session = make_session(loaded.plan());
  CHECK(session->batch(ProgramKind::train_step) == 4);
  CHECK(session->batch(ProgramKind::evaluate) == 3);
  CHECK(session->batch(ProgramKind::predict) == 2);
  for (const PlanProgram& program : compiled.contents.programs) {
    const Graph& graph = program.graph;
    const auto reshapes = std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                        [](const Node& n) { return n.op == Op::reshape; });
    CHECK(session->step_count(program.kind) ==
          static_cast<int>(graph.nodes.size()) - static_cast<int>(reshapes));
  }
  CHECK(loaded.plan().file_bytes() == compiled.plan.size());
}

TEST_CASE("the same model and options make the same bytes") {
  CHECK(small_plan() == small_plan());
  CHECK(small_plan("head") != small_plan());
}

TEST_CASE("a plan's graph computes what the graph that it was written from computes") {
  for (const bool fuse : {true, false})
    for (const char* scheme : {"full", "head", "bias:2"}) {
      const Compiled compiled = compile(convnet(), options_with(scheme, [&](CompileOptions& o) {
                                          o.real = DType::f64, o.fuse = fuse,
                                          o.expose_gradients = true;
                                        }));
      LoadedPlan loaded(compiled.plan);
      for (const PlanProgram& program : compiled.contents.programs) {
        const Graph graph = graph_of_plan(loaded.plan(), program.kind, DType::f64);
        std::map<std::string, HostTensor> inputs;
        Random random(5, 0);
        for (const Port& port : graph.inputs) {
          const Value& value = graph.value(port.value);
          std::vector<double> reals(static_cast<size_t>(value.shape.elements()));
          for (double& x : reals) x = static_cast<double>(random.below(1000)) / 500 - 1;
          inputs[port.name] = is_real(value.dtype)
                                  ? HostTensor::of_reals(value.dtype, value.shape, reals)
                                  : HostTensor::of_ints(value.dtype, value.shape, {1, 0, 4, 2});
        }
        const auto ours = interpret(graph, inputs), theirs = interpret(program.graph, inputs);
        REQUIRE(graph.outputs.size() == program.graph.outputs.size());
        for (const Port& port : graph.outputs) {
          CAPTURE(port.name);
          CHECK(ours[port.value].bytes == theirs[program.graph.output(port.name)].bytes);
        }
        // Updated parameters as well, which are no outputs.
        std::map<std::string, ValueId> by_name;
        for (size_t v = 0; v < graph.values.size(); ++v)
          by_name[graph.values[v].name] = static_cast<ValueId>(v);
        for (size_t v = 0; v < program.graph.values.size(); ++v)
          if (const Value& value = program.graph.values[v];
              value.updates != kNone && value.producer != kNone)
            CHECK(ours[by_name.at(value.name)].bytes == theirs[v].bytes);
      }
    }
}

TEST_CASE("a plan's graph continues from a session's state") {
  LoadedPlan loaded(compile(convnet(), options_with("full")).plan);
  const auto session = make_session(loaded.plan());
  train(*session, 3);
  const Graph graph =
      graph_of_plan(loaded.plan(), ProgramKind::train_step, DType::f64, session->state());
  fill_inputs(*session, ProgramKind::train_step, 9);
  std::map<std::string, HostTensor> inputs;
  for (const Port& port : graph.inputs) {
    const Tensor tensor = session->input(ProgramKind::train_step, port.name);
    const auto* bytes = tensor.as<std::byte>();
    const HostTensor given{tensor.dtype, tensor.shape, {bytes, bytes + tensor.bytes()}};
    inputs[port.name] = is_real(tensor.dtype)
                            ? HostTensor::of_reals(DType::f64, tensor.shape, given.reals())
                            : given;
  }
  const auto values = interpret(graph, inputs);
  REQUIRE(session->run(ProgramKind::train_step).is_ok());
  CHECK(
      values[graph.output("loss")].reals()[0] ==
      doctest::Approx(*session->output(ProgramKind::train_step, "loss").as<float>()).epsilon(1e-5));
  // Velocities, which are not zero any more, take part: the parameters end where the session's do.
  int compared = 0;
  for (const format::Parameter* p : *loaded.plan().table().parameters())
    for (size_t v = 0; v < graph.values.size(); ++v) {
      const ValueId old = graph.values[v].updates;
      if (old == kNone || graph.value(old).origin.tensor != p->name()->str()) continue;
      const std::vector<double> expected = values[v].reals();
      const auto* state =
          reinterpret_cast<const float*>(session->state().data() + p->state_offset());
      for (size_t i = 0; i < expected.size(); ++i)
        CHECK(state[i] == doctest::Approx(expected[i]).epsilon(1e-4));
      ++compared;
    }
  CHECK(compared == static_cast<int>(loaded.plan().table().parameters()->size()));
}

TEST_CASE("a missing program and too much state are errors") {
  LoadedPlan loaded(small_plan());
  const std::vector<std::byte> much(loaded.plan().table().state_bytes() + 1);
  CHECK(contains(
      error_of([&] { graph_of_plan(loaded.plan(), ProgramKind::predict, DType::f64, much); }),
      "bytes of state"));
}

// --- what is no plan

TEST_CASE("files that are no plans are refused") {
  const std::vector<std::byte> plan = small_plan("head");
  const auto changed = [&](size_t at, uint8_t value) {
    std::vector<std::byte> bytes = plan;
    bytes[at] = static_cast<std::byte>(value);
    return load_error(bytes);
  };
  CHECK(load_error(plan) == "");
  CHECK(contains(changed(0, 'B'), "not an Attune plan"));
  CHECK(contains(changed(offsetof(PlanHeader, major), 1), "format version 1"));
  CHECK(contains(changed(offsetof(PlanHeader, major), 0), "format version 0"));
  CHECK(changed(offsetof(PlanHeader, minor), 9) == "");  // additions are ignored
  CHECK(contains(changed(sizeof(PlanHeader) + 40, 0xff), "checksum"));
  CHECK(contains(load_error(plan, 8), "aligned"));
  CHECK(contains(load_error(plan, 1), "aligned"));
  CHECK(contains(load_error({}), "not an Attune plan"));
  std::vector<std::byte> longer = plan;
  longer.resize(longer.size() + 64);
  CHECK(contains(load_error(longer), "truncated or padded"));
}

TEST_CASE("a plan cut at any length is refused") {
  const std::vector<std::byte> plan = small_plan("head");
  for (size_t length = 0; length < plan.size(); ++length) {
    std::vector<std::byte> cut(plan.begin(), plan.begin() + static_cast<ptrdiff_t>(length));
    AlignedBytes memory(cut);
    Plan loaded;
    REQUIRE(!Plan::from_memory(memory.bytes(), "cut.att", &loaded));
    if (length < sizeof(PlanHeader)) continue;
    // With a header that agrees to the length, it is the contents that do not fit.
    PlanHeader header;
    std::memcpy(&header, cut.data(), sizeof(header));
    header.file_bytes = length;
    std::memcpy(cut.data(), &header, sizeof(header));
    set_checksum(cut);
    AlignedBytes agreed(cut);
    const Status status = Plan::from_memory(agreed.bytes(), "cut.att", &loaded);
    if (status) run_everything(loaded);  // padding at the end may go
    const size_t needed = header.state_offset + header.state_bytes;
    REQUIRE(status.is_ok() == (length >= needed));
  }
}

TEST_CASE("a damaged plan is refused, or runs inside its memory") {
  int refused = 0, ran = 0;
  for (const auto& [scheme, micro_batch] : {std::pair{"full", 0}, {"bias:2", 0}, {"full", 1}}) {
    const std::vector<std::byte> plan = small_plan(scheme, micro_batch);
    PlanHeader header;
    std::memcpy(&header, plan.data(), sizeof(header));
    Random random(42, 0);
    for (int round = 0; round < 4000; ++round) {
      std::vector<std::byte> bytes = plan;
      const uint64_t changes = 1 + random.below(3);
      for (uint64_t i = 0; i < changes; ++i) {
        // The program mostly; sometimes the header, sometimes constants (indices are among them).
        const uint64_t where = random.below(20);
        size_t at = header.program_offset + random.below(header.program_bytes);
        if (where == 0) at = 8 + random.below(sizeof(PlanHeader) - 8);
        if (where == 1) at = header.constants_offset + random.below(header.constants_bytes);
        auto& byte = reinterpret_cast<uint8_t&>(bytes[at]);
        switch (random.below(4)) {
          case 0:
            byte = static_cast<uint8_t>(random.below(256));
            break;
          case 1:
            byte = static_cast<uint8_t>(byte ^ 1u << random.below(8));
            break;
          case 2:
            byte = static_cast<uint8_t>(byte + 1);
            break;
          default:
            byte = random.below(2) ? 0xff : 0x80;
            break;
        }
      }
      set_checksum(bytes);
      AlignedBytes memory(bytes);
      Plan loaded;
      const Status status = Plan::from_memory(memory.bytes(), "damaged.att", &loaded);
      if (!status) {
        REQUIRE(status.message()[0] != '\0');
        ++refused;
        continue;
      }
      // What would only take long or much is legal; the test's model needs 100 KB.
      if (loaded.table().arena_bytes() + loaded.table().state_bytes() > 1u << 24) continue;
      const format::Program* train = loaded.program(ProgramKind::train_step);
      if (train && train->repeat_count() > 64) continue;
      run_everything(loaded);
      ++ran;
    }
  }
  CHECK(refused > 1000);
  CHECK(ran > 100);
}

TEST_CASE("plans are loaded from files, and what is no file is an error") {
  namespace fs = std::filesystem;
  const fs::path path =
      fs::temp_directory_path() / ("attune_plan_test_" + std::to_string(::getpid()));
  const std::vector<std::byte> plan = small_plan("head");
  write_file(path.string(), plan);
  {
    Plan loaded;
    const Status status = Plan::load(path.c_str(), &loaded);
    REQUIRE_MESSAGE(status.is_ok(), std::string(status.message()));
    const auto session = make_session(loaded);
    train(*session, 1);
  }
  write_file(path.string(), std::span(plan).first(50));
  Plan loaded;
  CHECK(contains(Plan::load(path.c_str(), &loaded).message(), "not an Attune plan (50 bytes)"));
  fs::remove(path);
  CHECK(contains(Plan::load(path.c_str(), &loaded).message(), "cannot open"));
  CHECK(contains(Plan::load("/tmp", &loaded).message(), "not a file"));
}

// --- sessions and their memory

TEST_CASE("a session works in the caller's memory, which must be large enough and aligned") {
  LoadedPlan loaded(small_plan());
  SessionOptions options;
  size_t bytes = 0;
  REQUIRE(Session::required_bytes(loaded.plan(), options, &bytes).is_ok());
  CHECK(bytes >= loaded.plan().table().arena_bytes() + loaded.plan().table().state_bytes());
  AlignedBytes memory(std::vector<std::byte>(bytes + 64));
  const auto status_of = [&](std::span<std::byte> given) {
    options.memory = given;
    std::unique_ptr<Session> session;
    return Session::create(loaded.plan(), options, &session);
  };
  CHECK(contains(status_of(memory.bytes().first(bytes - 1)).message(), "the session needs"));
  CHECK(contains(status_of(memory.bytes().subspan(8, bytes)).message(), "aligned"));

  // The same bits as in memory of its own, and no byte behind the end is written.
  std::fill(memory.bytes().begin(), memory.bytes().end(), std::byte{0x5a});
  options.memory = memory.bytes().first(bytes);
  const auto guest = make_session(loaded.plan(), options);
  const auto owner = make_session(loaded.plan());
  train(*guest, 2);
  train(*owner, 2);
  CHECK(std::memcmp(guest->state().data(), owner->state().data(), owner->state().size()) == 0);
  for (std::byte b : memory.bytes().subspan(bytes)) CHECK(b == std::byte{0x5a});
}

TEST_CASE("poisoned memory that is dead changes no bit") {
  for (const char* scheme : {"full", "head", "bias:2"}) {
    LoadedPlan loaded(small_plan(scheme));
    SessionOptions options;
    options.poison = true;
    const auto poisoned = make_session(loaded.plan(), options);
    const auto plain = make_session(loaded.plan());
    train(*poisoned, 3);
    train(*plain, 3);
    CHECK(std::memcmp(poisoned->state().data(), plain->state().data(), plain->state().size()) == 0);
    poisoned->reset_state();
    plain->reset_state();
    CHECK(std::memcmp(poisoned->state().data(), plain->state().data(), plain->state().size()) == 0);
  }
}

TEST_CASE("two sessions of one plan do not disturb each other, nor the plan") {
  LoadedPlan loaded(small_plan());
  const std::vector<std::byte> before(loaded.bytes().begin(), loaded.bytes().end());
  const auto a = make_session(loaded.plan());
  const auto b = make_session(loaded.plan());
  train(*a, 2);
  CHECK(std::memcmp(a->state().data(), b->state().data(), a->state().size()) != 0);
  train(*b, 2);
  CHECK(std::memcmp(a->state().data(), b->state().data(), a->state().size()) == 0);
  CHECK(std::equal(before.begin(), before.end(), loaded.bytes().begin()));
}

}  // namespace
}  // namespace attune::test
