#include "tests/c_api/check.h"

#include <errno.h>
#ifdef __linux__
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

/* Counts what the process allocates: the executable's malloc takes the place of the C library's. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern void* __libc_malloc(size_t bytes);
extern void* __libc_calloc(size_t count, size_t bytes);
extern void* __libc_realloc(void* memory, size_t bytes);
extern void* __libc_memalign(size_t alignment, size_t bytes);
static long g_count = 0, g_refused_in = 0;

/* Whether the next allocation is the one that is to fail. */
static int is_refused(void) {
  if (g_refused_in == 0 || --g_refused_in > 0) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t bytes) {
  ++g_count;
  return is_refused() ? NULL : __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  ++g_count;
  return is_refused() ? NULL : __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  ++g_count;
  return is_refused() ? NULL : __libc_realloc(memory, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  ++g_count;
  return is_refused() ? NULL : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory ? 0 : 12;
}
long allocations(void) { return g_count; }
#ifdef __LP64__
extern long syscall(long number, ...);
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) {
  return is_refused() ? MAP_FAILED
                      : (void*)syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
}
#endif
int refuse_allocation(long number) {
  const int is_left = g_refused_in > 0;
  g_refused_in = number;
  return is_left;
}
#else
long allocations(void) { return -1; }
int refuse_allocation(long number) { return number == 0; }
#endif

/* Numbers in -1 .. 1 that follow from `seed`. */
static float number(unsigned long seed) {
  seed = (seed * 2654435761UL + 12345UL) & 0xffffffffUL;
  seed ^= seed >> 15;
  seed = (seed * 2246822519UL) & 0xffffffffUL;
  seed ^= seed >> 13;
  return (float)(seed & 0xffffUL) / 32768.0f - 1.0f;
}

long label_of(const data* of, long index) { return (index + of->turn) % of->classes; }

/* A pattern of the class (before it is turned), and noise of the example. */
void fill_example(const data* of, long index, float* features) {
  size_t i;
  for (i = 0; i < of->features; ++i)
    features[i] = of->scale * (number((unsigned long)(index % of->classes) * 7919UL + i) +
                               0.3f * number(1000003UL * (unsigned long)(index + 1) + i));
}

static int32_t read_example(void* context, int64_t index, int32_t field, void* bytes,
                            size_t count) {
  data* of = context;
  if (index == of->fails_at) return 7;
  if (field == ATTUNE_TARGET_FIELD) {
    const int32_t label = index == of->mislabelled_at ? 1000 : (int32_t)label_of(of, (long)index);
    if (count != sizeof(label)) return 8;
    memcpy(bytes, &label, sizeof(label));
    return 0;
  }
  if (field != 0 || count != of->features * sizeof(float)) return 9;
  ++of->reads;
  if (of->clock) ++*of->clock;
  fill_example(of, (long)index, bytes);
  return 0;
}

static const char* describe_example(void* context, int64_t index) {
  static char text[32];
  (void)context;
  sprintf(text, "take %ld", (long)index);
  return text;
}

attune_dataset dataset_of(data* of, long count) {
  attune_dataset set = {.size = sizeof(set)};
  set.context = of;
  set.count = count;
  set.labelled = 1;
  set.read = read_example;
  set.describe = describe_example;
  return set;
}

void spoil(attune_session* session) {
  attune_parameter p = {.size = sizeof(p)};
  float bias[10];
  int32_t i;
  for (i = 0; i < 10; ++i) bias[i] = i % 2 ? 3e38f : -3e38f;
  for (i = 0; attune_session_parameter(session, i, &p, &g_error) == ATTUNE_OK; ++i)
    if (p.rank == 1 && p.bytes == sizeof(bias))
      REQUIRE_OK(attune_session_set_parameter(session, p.name, NULL, bias, sizeof(bias), &g_error));
}

void* aligned_block(size_t bytes) {
  void* memory = NULL;
  return posix_memalign(&memory, 64, (bytes + 127) / 64 * 64) == 0 ? memory : NULL;
}

void* read_file(const char* path, size_t* bytes) {
  FILE* file = fopen(path, "rb");
  char* memory;
  long size;
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  size = ftell(file);
  rewind(file);
  memory = aligned_block((size_t)size);
  if (memory && fread(memory, 1, (size_t)size, file) != (size_t)size) {
    free(memory);
    memory = NULL;
  }
  fclose(file);
  *bytes = (size_t)size;
  return memory;
}
