// A program that trains on files and adapts a model's plan: files PLAN DATA [CHECKPOINT]. The data
// are what `attune train` takes: a folder of recordings or pictures, a table, an .npz.
#include <attune/open_dataset.h>

#include <attune/attune.hpp>
#include <cstdio>

namespace {

attune::Status run(const char* path, const char* files, const char* checkpoint) {
  attune::Plan plan;
  ATTUNE_RETURN_IF_ERROR(attune::Plan::load(path, &plan));
  std::unique_ptr<attune::Session> session;
  ATTUNE_RETURN_IF_ERROR(attune::Session::create(plan, {}, &session));
  attune::DatasetRequest request;
  ATTUNE_RETURN_IF_ERROR(attune::data_request(*session, attune::ProgramKind::train_step, &request));
  std::unique_ptr<attune::Dataset> data;
  ATTUNE_RETURN_IF_ERROR(attune::open_dataset(files, request, &data));

  // Here all of it is trained on; with a second data set, held out, no run makes a model worse.
  attune::RunOptions options{.train = {.epochs = 20}};
  options.train.schedule.base = 0.005;
  std::unique_ptr<attune::TrainingRun> run;
  ATTUNE_RETURN_IF_ERROR(attune::TrainingRun::create(*session, *data, nullptr, options, &run));
  while (!run->done()) {
    ATTUNE_RETURN_IF_ERROR(run->step());
    const attune::Trainer& trainer = run->trainer();
    if (run->epoch_ended() && trainer.progress().epoch % 5 == 0)
      std::printf("epoch %lld: loss %.4f, accuracy %.1f %%\n",
                  static_cast<long long>(trainer.progress().epoch), trainer.last_epoch().loss,
                  100 * trainer.last_epoch().accuracy);
  }
  ATTUNE_RETURN_IF_ERROR(run->finish());
  return checkpoint == nullptr ? attune::Status::ok() : run->save(checkpoint);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "files PLAN DATA [CHECKPOINT]\n");
    return 2;
  }
  const attune::Status status = run(argv[1], argv[2], argc > 3 ? argv[3] : nullptr);
  if (!status) std::fprintf(stderr, "%s\n", status.message());
  return status ? 0 : 1;
}
