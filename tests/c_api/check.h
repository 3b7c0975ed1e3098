#ifndef ATTUNE_TESTS_C_API_CHECK_H
#define ATTUNE_TESTS_C_API_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attune/attune.h"

extern int g_checks, g_failed;
extern attune_error g_error; /* of the last call */

/* Goes on after a failure, so that one run shows all. */
#define CHECK(condition)                                                          \
  do {                                                                            \
    ++g_checks;                                                                   \
    if (!(condition)) {                                                           \
      ++g_failed;                                                                 \
      printf("%s:%d: %s\n    last message: %s\n", __FILE__, __LINE__, #condition, \
             g_error.message);                                                    \
    }                                                                             \
  } while (0)

/* That a call works; ends the program where not, as what follows needs it. */
#define REQUIRE_OK(call)                                                     \
  do {                                                                       \
    ++g_checks;                                                              \
    if ((call) != ATTUNE_OK) {                                               \
      printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, g_error.message); \
      exit(1);                                                               \
    }                                                                        \
    CHECK(g_error.status == ATTUNE_OK && g_error.message[0] == '\0');        \
  } while (0)

/* That a call fails with this status, the same in the error, and this in its text. */
#define CHECK_FAILS(call, expected, part)                                                         \
  do {                                                                                            \
    const attune_status got_ = (call);                                                            \
    CHECK(got_ == (expected) && g_error.status == got_ && strstr(g_error.message, part) != NULL); \
  } while (0)

/* Allocations of the process so far; -1 where they cannot be counted. */
long allocations(void);

/* Lets the allocation of this number (from 1) from now on fail, of the heap or of pages; 0: none.
   Returns whether one that was to fail is still to come. */
int refuse_allocation(long number);

/* Examples for the keyword plan: features that follow from the index, with labels that can be
   learned from them, or (`turn`) other ones. */
typedef struct data {
  size_t features; /* floats of an example */
  long classes;
  long turn;           /* added to every label */
  float scale;         /* of every feature */
  long fails_at;       /* reading this example fails; -1: none */
  long mislabelled_at; /* its label is no class */
  long reads;          /* of inputs */
  long* clock;         /* goes on by one with each read of an input; NULL: none */
} data;

attune_dataset dataset_of(data* of, long count);
void fill_example(const data* of, long index, float* features);
long label_of(const data* of, long index);

/* Sets the classifier's bias so that no loss is finite. */
void spoil(attune_session* session);

/* At least `bytes`, aligned to 64; freed with free. */
void* aligned_block(size_t bytes);

/* A file whole, aligned to 64; freed with free. */
void* read_file(const char* path, size_t* bytes);

void test_versions(void);
void test_plans(const char* path);
void test_structures(const attune_plan* plan);
void test_nulls(const attune_plan* plan);
void test_memory(const char* path);
void test_ports(const attune_plan* plan);
void test_predict(const attune_plan* plan);
void test_evaluate(const attune_plan* plan);
void test_parameters(const attune_plan* plan);
void test_gradients(const attune_plan* plan, const attune_plan* keeps);
void test_device_check(const attune_plan* plan);
void test_checkpoints(const attune_plan* plan, const attune_plan* other, const char* folder);
void test_training(const attune_plan* plan);
void test_training_control(const attune_plan* plan);
void test_training_harm(const attune_plan* plan);
void test_training_checkpoints(const attune_plan* plan, const char* folder);

#endif
