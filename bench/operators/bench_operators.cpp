// Every kernel of every backend over the layers of known models, with warm operands: the same
// buffers again and again.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "attune/thread_pool.h"
#include "bench/operators/calls.h"
#include "cli/machine_peak.h"
#include "engine/kernel_choice.h"
#include "engine/platform/memory_block.h"

namespace attune::bench {
namespace {

constexpr size_t kSlack = 64;  // kernels may read past the end, as a session lets them

struct Options {
  std::vector<std::string> models = bench::models();
  std::vector<Backend> backends = {Backend::simd, Backend::xnnpack, Backend::eigen};
  std::vector<int> threads = {1, 2};
  int batch = 1;
  bool no_peak = false;
};

// A call with memory, and with a kernel that takes it or null.
class BoundCall {
 public:
  BoundCall(const Call& call, Backend backend, bool frozen, ThreadPool* pool)
      : kernel_(find_kernel(backend, call.op, DType::f32)) {
    for (const Operand& operand : call.inputs)
      inputs_.push_back(tensor(operand, frozen && operand.parameter));
    for (const Operand& operand : call.outputs)
      outputs_.push_back(operand.lies_on >= 0 ? inputs_[static_cast<size_t>(operand.lies_on)]
                                              : tensor(operand, false));
    // A learning rate of 0 leaves the weights as they are.
    if (call.op == Op::momentum) *inputs_[2].as<float>() = 0;
    args_ = {.inputs = inputs_.data(),
             .num_inputs = static_cast<int>(inputs_.size()),
             .outputs = outputs_.data(),
             .num_outputs = static_cast<int>(outputs_.size()),
             .attrs = call.attrs.get(),
             .pool = pool};
    if (!kernel_ || (frozen && !kernel_->prepare) ||
        (kernel_->supports && !kernel_->supports(args_)))
      kernel_ = nullptr;
  }
  ~BoundCall() {
    if (args_.prepared) kernel_->release(args_.prepared);
  }
  BoundCall(const BoundCall&) = delete;
  BoundCall& operator=(const BoundCall&) = delete;

  bool supported() const { return kernel_ != nullptr; }
  // Whether sessions run this call with this kernel.
  bool chosen(Op op) const {
    return choose_kernel(BackendChoice::best, DType::f32, op, args_).kernel == kernel_;
  }

  // False where the kernel cannot be prepared.
  bool prepare() {
    if (kernel_->workspace_bytes) {
      args_.workspace = allocate(kernel_->workspace_bytes(args_, args_.pool->threads()));
    }
    if (!kernel_->prepare) return true;
    size_t held = 0;
    args_.prepared = kernel_->prepare(args_, &held);
    return args_.prepared != nullptr;
  }
  void run() { kernel_->run(args_); }

 private:
  // As a session has it.
  void* allocate(size_t bytes) {
    if (!memory_.emplace_back().allocate(bytes + kSlack)) throw std::bad_alloc();
    return memory_.back().data();
  }
  Tensor tensor(const Operand& operand, bool frozen) {
    if (operand.shape.rank == 0) return {};
    Tensor tensor{.dtype = operand.dtype, .frozen = frozen, .shape = operand.shape};
    tensor.data = allocate(tensor.bytes());
    std::minstd_rand random(1);
    if (operand.dtype == DType::f32) {
      std::uniform_real_distribution<float> real(-1, 1);
      std::generate_n(tensor.as<float>(), operand.shape.elements(), [&] { return real(random); });
    } else {
      std::generate_n(tensor.as<uint8_t>(), tensor.bytes(),
                      [&] { return static_cast<uint8_t>(random() >> 8); });
    }
    return tensor;
  }

  const Kernel* kernel_;
  std::deque<MemoryBlock> memory_;
  std::vector<Tensor> inputs_, outputs_;
  KernelArgs args_;
};

// `peak` may be null.
void count(benchmark::State& state, double seconds, const Call& call,
           const cli::MachinePeak* peak) {
  const auto bytes = static_cast<double>(call.bytes());
  const auto operations = 2 * static_cast<double>(call.macs);
  state.counters["GFLOP/s"] = 1e-9 * operations / seconds;
  state.counters["GB/s"] = 1e-9 * bytes / seconds;
  if (peak) {
    const double roof = std::max(1e-9 * operations / peak->gflops(),
                                 1e-9 * bytes / peak->gb_s(static_cast<size_t>(call.bytes())));
    state.counters["% of peak"] = 100 * roof / seconds;
  }
}

void measure(benchmark::State& state, const Call& call, Backend backend, bool frozen, int threads,
             const cli::MachinePeak* peak) {
  using Clock = std::chrono::steady_clock;
  ThreadPool pool(threads);
  BoundCall bound(call, backend, frozen, &pool);
  const bool chosen = bound.chosen(call.op);
  if (!bound.prepare()) return state.SkipWithError("cannot be prepared");
  bound.run();
  const auto start = Clock::now();
  for (auto _ : state) {
    bound.run();
    benchmark::ClobberMemory();
  }
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  count(state, elapsed.count() / static_cast<double>(state.iterations()), call, peak);
  state.SetLabel(fmt::format("x{}{}", call.times, chosen ? " chosen" : ""));
}

void add_call(const Call& call, const Options& options, Backend backend,
              const std::map<int, cli::MachinePeak>& peaks) {
  ThreadPool pool(1);
  for (const bool frozen : {false, true}) {
    if (!BoundCall(call, backend, frozen, &pool).supported()) continue;
    for (const int threads : options.threads) {
      const auto peak = peaks.find(threads);
      const std::string name =
          fmt::format("{}/{}/{}/{}/{}{}/threads:{}", call.model, call.layer, call.part, call.shape,
                      backend_name(backend), frozen ? "_frozen" : "", threads);
      benchmark::RegisterBenchmark(name.c_str(), measure, call, backend, frozen, threads,
                                   peak == peaks.end() ? nullptr : &peak->second)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

int run(Options& options, CLI::App& app, const char* program) {
  // A wanted option of the library comes later than these, and wins.
  std::vector<std::string> words{program, "--benchmark_min_time=0.05",
                                 "--benchmark_counters_tabular=true"};
  for (const std::string& word : app.remaining()) words.push_back(word);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  if (benchmark::ReportUnrecognizedArguments(argc, argv.data())) return 1;

  std::map<int, cli::MachinePeak> peaks;
  if (!options.no_peak)
    for (const int threads : options.threads) {
      const auto& peak = peaks[threads] = cli::measure_machine(threads, DType::f32);
      benchmark::AddCustomContext(
          fmt::format("peak, {} threads", threads),
          fmt::format("{:.0f} GFLOP/s, {}, {:.0f} GB/s of 1 MiB", peak.gflops(), peak.instructions,
                      peak.gb_s(size_t{1} << 20)));
    }
  for (const std::string& model : options.models)
    for (const Call& call : calls(model, options.batch))
      for (const Backend backend : options.backends)
        if (backend_available(backend)) add_call(call, options, backend, peaks);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace attune::bench

int main(int argc, char** argv) {
  using namespace attune;
  bench::Options options;
  CLI::App app(
      "Measures kernels over the layers of known models. Options of Google Benchmark go on to it:\n"
      "--benchmark_filter=depthwise/dw, --benchmark_min_time=0.5, --benchmark_out=FILE.json");
  app.allow_extras();
  app.add_option("--models", options.models,
                 "Which of: " + fmt::format("{}", fmt::join(bench::models(), " ")))
      ->delimiter(',')
      ->check(CLI::IsMember(bench::models()));
  std::map<std::string, Backend> backends;
  for (int i = 0; i < kBackendCount; ++i)
    backends.emplace(backend_name(static_cast<Backend>(i)), static_cast<Backend>(i));
  app.add_option("--backends", options.backends, "The default leaves out reference, which is slow")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(backends));
  app.add_option("--threads", options.threads, "The default: 1,2")
      ->delimiter(',')
      ->check(CLI::Range(1, 256));
  app.add_option("--batch", options.batch, "Examples at once; the default: 1")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--no-peak", options.no_peak, "Leaves out the machine's peak: some seconds");
  CLI11_PARSE(app, argc, argv);
  return bench::run(options, app, argv[0]);
}
