/* Adapts a keyword plan to a speaker, for as long as it may, and goes on the next time:

     train_keywords plan.att plan.atc SECONDS FOLDER/stop/one.wav FOLDER/go/two.wav ..

   A recording's folder is its class. One file in five is held out: it judges, and is not trained
   on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attune/attune.h"
#include "mfcc.h"

static attune_error error;

static int failed(void) {
  fprintf(stderr, "train_keywords: %s\n", error.message);
  return 1;
}

/* What the application has: features that it computed itself. */
typedef struct recordings {
  float* features; /* of all, one behind the other */
  int32_t* labels;
  char** paths;
  size_t bytes; /* of an example's features */
  long count;
} recordings;

static int32_t read_recording(void* context, int64_t index, int32_t field, void* bytes,
                              size_t count) {
  const recordings* all = context;
  if (field == ATTUNE_TARGET_FIELD && count == sizeof(int32_t))
    memcpy(bytes, all->labels + index, count);
  else if (field == 0 && count == all->bytes)
    memcpy(bytes, (const char*)all->features + (size_t)index * all->bytes, count);
  else
    return 1; /* not a model of one input of such features */
  return 0;
}

static const char* describe_recording(void* context, int64_t index) {
  return ((const recordings*)context)->paths[index];
}

static attune_dataset data_of(recordings* of) {
  attune_dataset data = {.size = sizeof(data), .context = of, .count = of->count, .labelled = 1};
  data.read = read_recording;
  data.describe = describe_recording;
  return data;
}

static long little(const unsigned char* at, int bytes) {
  return bytes == 0 ? 0 : at[0] + 256 * little(at + 1, bytes - 1);
}

/* Mono 16-bit PCM, as a simple recorder writes it. Where its rate is another one, samples are taken
   between two neighbours: enough for speech. Returns how many, or -1. */
static long read_wav(const char* path, long rate, float* samples, long room) {
  unsigned char head[44], pair[2];
  long count = 0, own_rate, heard;
  double before = 0, now = 0;
  FILE* file = fopen(path, "rb");
  if (!file) return -1;
  if (fread(head, 1, sizeof(head), file) != sizeof(head) || memcmp(head, "RIFF", 4) != 0 ||
      memcmp(head + 36, "data", 4) != 0 || little(head + 22, 2) != 1 ||
      little(head + 34, 2) != 16) {
    fclose(file);
    return -1;
  }
  own_rate = little(head + 24, 4);
  for (heard = 0; count < room && fread(pair, 1, 2, file) == 2; ++heard) {
    const long value = little(pair, 2);
    before = now;
    now = (double)(value < 32768 ? value : value - 65536) / 32768;
    for (; count < room && (double)count * own_rate <= (double)heard * rate; ++count) {
      const double back = (double)heard - (double)count * own_rate / rate; /* 0 .. 1 */
      samples[count] = (float)(now + (before - now) * back);
    }
  }
  fclose(file);
  return count;
}

/* The class that a path's folder names; -1: the plan has none of that name. */
static int32_t class_of(const attune_plan* plan, const char* path) {
  const char *end = strrchr(path, '/'), *begin = end, *name;
  int32_t i;
  while (begin && begin > path && begin[-1] != '/') --begin;
  for (i = 0; end && (name = attune_plan_class(plan, i)) != NULL; ++i)
    if (strlen(name) == (size_t)(end - begin) && memcmp(name, begin, strlen(name)) == 0) return i;
  return -1;
}

static int add(recordings* to, const attune_plan* plan, const attune_preprocess* how, char* path) {
  float* samples = malloc((size_t)how->samples * sizeof(float));
  const long count = samples ? read_wav(path, how->sample_rate, samples, how->samples) : -1;
  float* features = (float*)(void*)((char*)to->features + (size_t)to->count * to->bytes);
  to->labels[to->count] = class_of(plan, path);
  to->paths[to->count] = path;
  if (count < 0 || to->labels[to->count] < 0 || mfcc(how, samples, count, features) != 0) {
    fprintf(stderr, "train_keywords: %s: no mono 16-bit WAV, or no class of the plan\n", path);
    free(samples);
    return 0;
  }
  free(samples);
  ++to->count;
  return 1;
}

static void show(void* context, const attune_progress* progress) {
  (void)context;
  if (progress->epoch_ended)
    printf("epoch %ld  loss %.4f  accuracy %.1f %%\n", (long)progress->epoch, progress->epoch_loss,
           100 * progress->epoch_accuracy);
}

int main(int argc, char** argv) {
  attune_preprocess how = {.size = sizeof(how)};
  attune_device_report report = {.size = sizeof(report)};
  attune_trainer_options options = {
      .size = sizeof(options), .epochs = 30, .learning_rate = 0.005, .patience = 10};
  attune_control control = {.size = sizeof(control), .on_progress = show};
  attune_progress progress = {.size = sizeof(progress)};
  attune_checkpoint_info before = {.size = sizeof(before)};
  recordings learned = {0}, judging = {0};
  attune_dataset data, held_out;
  attune_plan* plan;
  attune_session* session;
  attune_trainer* trainer;
  attune_status status;
  int i;

  if (argc < 9) {
    fputs("train_keywords PLAN CHECKPOINT SECONDS RECORDING.. (five or more)\n", stderr);
    return 2;
  }
  if (attune_abi_version() != ATTUNE_ABI_VERSION) {
    fputs("train_keywords: compile it again, for this library\n", stderr);
    return 2;
  }
  if (attune_plan_load(argv[1], NULL, &plan, &error) != ATTUNE_OK) return failed();
  if (attune_plan_preprocess(plan, &how, &error) != ATTUNE_OK) return failed();
  if (how.front_end != ATTUNE_FRONT_END_MFCC) {
    fprintf(stderr, "train_keywords: %s: compile it with --preprocess mfcc\n", argv[1]);
    return 1;
  }
  /* Whether it fits is known before anything is taken. */
  if (attune_session_check(plan, NULL, NULL, &report, &error) != ATTUNE_OK) return failed();
  if (!report.fits) {
    fprintf(stderr, "train_keywords: %s\n", report.reason);
    return 1;
  }
  learned.bytes = judging.bytes =
      (size_t)mfcc_frames(&how) * (size_t)how.coefficients * sizeof(float);
  for (i = 0; i < 2; ++i) {
    recordings* of = i == 0 ? &learned : &judging;
    of->features = malloc((size_t)argc * of->bytes);
    of->labels = malloc((size_t)argc * sizeof(int32_t));
    of->paths = malloc((size_t)argc * sizeof(char*));
    if (!of->features || !of->labels || !of->paths) return 1;
  }
  for (i = 4; i < argc; ++i)
    if (!add(i % 5 == 3 ? &judging : &learned, plan, &how, argv[i])) return 1;

  if (attune_session_create(plan, NULL, &session, &error) != ATTUNE_OK) return failed();
  data = data_of(&learned);
  held_out = data_of(&judging);
  options.held_out = &held_out;
  /* On where the last call of this program stopped; else a new run, from what it learned before. */
  status = attune_plan_examine(plan, argv[2], &before, &error);
  if (status == ATTUNE_OK && !before.finished) {
    status = attune_trainer_resume(session, &data, &options, argv[2], &trainer, &error);
  } else {
    if (status == ATTUNE_OK) {
      if (attune_session_start_from(session, argv[2], &before, &error) != ATTUNE_OK)
        return failed();
      options.earlier_steps = before.earlier_steps;
    }
    status = attune_trainer_create(session, &data, &options, &trainer, &error);
  }
  if (status != ATTUNE_OK) return failed();

  control.budget_ms = (int64_t)(1000 * atof(argv[3]));
  if (attune_trainer_run(trainer, &control, &progress, &error) != ATTUNE_OK) return failed();
  if (attune_trainer_save(trainer, argv[2], &error) != ATTUNE_OK) return failed();
  printf("%s after %ld steps of %ld; held out: loss %.4f at best",
         progress.stop == ATTUNE_FINISHED ? "finished" : "out of time", (long)progress.step,
         (long)progress.total_steps, progress.best_loss);
  if (isnan(progress.baseline_loss)) /* measured by the call that began the run */
    puts("");
  else
    printf(", %.4f before\n", progress.baseline_loss);

  attune_trainer_destroy(trainer);
  attune_session_destroy(session);
  attune_plan_destroy(plan);
  for (i = 0; i < 2; ++i) {
    recordings* of = i == 0 ? &learned : &judging;
    free(of->features);
    free(of->labels);
    free(of->paths);
  }
  return 0;
}
