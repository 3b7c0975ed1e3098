#include "attune/compiler.h"

#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune {
namespace {

CompileOptions options_of(const CompilerSettings& settings) {
  CompileOptions options;
  options.scheme = settings.scheme;
  options.optimizer.kind = parse_optimizer(settings.optimizer);
  options.batch = settings.batch;
  options.micro_batch = settings.micro_batch;
  options.predict_batch = settings.predict_batch;
  options.classes = settings.classes;
  options.class_names = settings.class_names;
  options.preprocess = parse_preprocess(settings.preprocess);
  options.arena_budget = settings.arena_bytes;
  options.tile = options.split_gradients = options.remake_masks = settings.arena_bytes > 0;
  return options;
}

// Nothing that is thrown leaves the library.
template <class Work>
Status caught(const Work& work) {
  try {
    work();
    return Status::ok();
  } catch (const std::bad_alloc&) {
    return Status::error("out of memory");
  } catch (const std::exception& error) {
    return Status::error("%s", error.what());
  }
}

}  // namespace

Status compile_model(const std::string& model, const CompilerSettings& settings,
                     std::vector<std::byte>* plan) {
  return caught([&] {
    const ModelPtr loaded = load_model(model);
    CompileOptions options = options_of(settings);
    options.loss = settings.loss.empty() ? default_loss(forward_graph(*loaded, options, 1))
                                         : parse_loss(settings.loss);
    *plan = compile(*loaded, options).plan;
  });
}

Status export_trained(const std::string& model, const Session& session, const std::string& path) {
  return caught([&] { export_model(*load_model(model), session, path); });
}

}  // namespace attune
