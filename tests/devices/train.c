/* train.cpp, as an application in C does it: the same numbers, through attune.h alone. */
#include "tests/devices/train.h"

#include <string.h>

#include "attune/attune.h"

enum { EXAMPLES = 20 }; /* the last of three batches of 8 is a partial one */

static attune_error error;

/* Any two differ in all their bits. */
static uint32_t scrambled(uint64_t number) {
  number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
  number = (number ^ number >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)(number >> 33);
}

static void print_line(const device* on, const char* word, const char* text) {
  on->print(word);
  on->print(text);
  on->print("\n");
}

static void print_hash(const device* on, const char* word, uint64_t number) {
  char digits[17];
  int i;
  for (i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
  digits[16] = '\0';
  print_line(on, word, digits);
}

static uint64_t bits_of(double number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof(bits));
  return bits;
}

/* ---- Memory: one piece of the device's after the other; the last one may be given back. */

typedef struct pool {
  char* next;
  char* end;
} pool;

static void* take(void* context, size_t bytes, size_t alignment) {
  pool* of = context;
  char* at = of->next + (alignment - (uintptr_t)of->next % alignment) % alignment;
  if (at > of->end || bytes > (size_t)(of->end - at)) return NULL;
  of->next = at + bytes;
  return at;
}

static void give_back(void* context, void* memory, size_t bytes) {
  pool* of = context;
  if ((char*)memory + bytes == of->next) of->next = memory;
}

/* ---- Data */

static int32_t read_numbers(void* context, int64_t index, int32_t field, void* bytes,
                            size_t count) {
  const attune_session* session = context;
  attune_port port = {0};
  size_t at;
  port.size = sizeof(port);
  if (attune_session_port_by_role(
          session, ATTUNE_TRAIN_STEP,
          field == ATTUNE_TARGET_FIELD ? ATTUNE_ROLE_LABEL : ATTUNE_ROLE_INPUT,
          field == ATTUNE_TARGET_FIELD ? 0 : field, &port, NULL) != ATTUNE_OK)
    return 1;
  for (at = 0; at < count; at += 4) {
    const uint32_t number = scrambled((uint64_t)index << 32 | (uint64_t)(field + 2) << 24 | at);
    if (port.dtype == ATTUNE_I32) {
      const uint32_t id = number % (uint32_t)port.limit;
      memcpy((char*)bytes + at, &id, 4);
    } else if (port.dtype == ATTUNE_F32) {
      const float real = (float)((int32_t)(number >> 7) - (1 << 23)) / (1 << 23);
      memcpy((char*)bytes + at, &real, 4);
    } else {
      return 2;
    }
  }
  return 0;
}

/* ---- A checkpoint in memory */

typedef struct kept {
  char* bytes;
  size_t size, room;
} kept;

static int32_t keep(void* context, const void* bytes, size_t count) {
  kept* to = context;
  if (count > to->room - to->size) return 1;
  memcpy(to->bytes + to->size, bytes, count);
  to->size += count;
  return 0;
}

static int32_t read_kept(void* context, uint64_t offset, void* bytes, size_t count) {
  memcpy(bytes, ((const kept*)context)->bytes + offset, count);
  return 0;
}

static uint64_t hash_of(const kept* file) {
  uint64_t value = 0xcbf29ce484222325u;
  size_t i;
  for (i = 0; i < file->size; ++i) value = (value ^ (unsigned char)file->bytes[i]) * 0x100000001b3u;
  return value;
}

static int refused(const device* on, const char* where) {
  on->print("refused ");
  on->print(where);
  print_line(on, ": ", error.message);
  return 0;
}

int train_by_c(const device* on, const void* bytes, size_t count, int steps) {
  pool memory;
  attune_allocator allocator = {.size = sizeof(allocator)};
  attune_plan_options plan_options = {.size = sizeof(plan_options)};
  attune_session_options session_options = {.size = sizeof(session_options)};
  attune_trainer_options trainer_options = {.size = sizeof(trainer_options)};
  attune_dataset data = {.size = sizeof(data)};
  attune_progress progress = {.size = sizeof(progress)};
  attune_evaluation evaluation = {.size = sizeof(evaluation)}, again = {.size = sizeof(again)};
  attune_sink sink = {.size = sizeof(sink)};
  attune_source source = {.size = sizeof(source)};
  attune_plan* plan;
  attune_session* session;
  attune_trainer* trainer;
  kept checkpoint = {0};

  memory.next = on->memory;
  memory.end = memory.next + on->bytes;
  allocator.context = &memory;
  allocator.allocate = take;
  allocator.release = give_back;
  plan_options.allocator = &allocator;
  if (attune_plan_from_memory(bytes, count, &plan_options, &plan, &error) != ATTUNE_OK)
    return refused(on, "plan");
  session_options.allocator = &allocator;
  session_options.backend = ATTUNE_BACKEND_REFERENCE;
  if (attune_session_create(plan, &session_options, &session, &error) != ATTUNE_OK)
    return refused(on, "session");

  data.context = session;
  data.count = EXAMPLES;
  data.labelled = 1;
  data.read = read_numbers;
  trainer_options.epochs = trainer_options.steps = steps;
  trainer_options.learning_rate = 0.01;
  if (attune_trainer_create(session, &data, &trainer_options, &trainer, &error) != ATTUNE_OK)
    return refused(on, "trainer");
  while (progress.step < steps) {
    char word[] = "loss     ";
    int64_t left;
    char* digit = word + 8;
    if (attune_trainer_step(trainer, &progress, &error) != ATTUNE_OK) return refused(on, "step");
    for (left = progress.step; left > 0; left /= 10) *--digit = (char)('0' + left % 10);
    memmove(word + 5, digit, strlen(digit) + 1);
    print_hash(on, word, bits_of(progress.loss));
  }
  if (attune_session_evaluate(session, &data, NULL, &evaluation, &error) != ATTUNE_OK)
    return refused(on, "evaluate");
  print_hash(on, "evaluated ", bits_of(evaluation.loss));

  /* What is brought back from a checkpoint is what was saved. */
  checkpoint.bytes = memory.next;
  checkpoint.room = (size_t)(memory.end - memory.next);
  sink.context = &checkpoint;
  sink.write = keep;
  if (attune_session_write(session, &sink, &error) != ATTUNE_OK) return refused(on, "checkpoint");
  print_hash(on, "checkpoint ", hash_of(&checkpoint));
  source.context = &checkpoint;
  source.bytes = checkpoint.size;
  source.read = read_kept;
  if (attune_session_reset(session, &error) != ATTUNE_OK ||
      attune_session_read(session, &source, NULL, &error) != ATTUNE_OK ||
      attune_session_evaluate(session, &data, NULL, &again, &error) != ATTUNE_OK)
    return refused(on, "checkpoint");
  if (again.loss != evaluation.loss) {
    print_line(on, "refused ", "checkpoint: it brings back another state");
    return 0;
  }
  attune_trainer_destroy(trainer);
  attune_session_destroy(session);
  attune_plan_destroy(plan);
  return 1;
}
