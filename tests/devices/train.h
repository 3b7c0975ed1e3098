#pragma once

#include <stddef.h>
#include <stdint.h>

/* What train.c needs of the device that it runs on, and does there. */
#ifdef __cplusplus
extern "C" {
#endif

typedef struct device {
  void (*print)(const char* text);
  void* memory; /* for everything that training takes */
  size_t bytes;
} device;

/* Trains a plan for so many steps and prints what came of it. 0: it was refused. */
int train_by_c(const device* on, const void* plan, size_t bytes, int steps);

#ifdef __cplusplus
}
#endif
