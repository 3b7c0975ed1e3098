#ifndef MFCC_H
#define MFCC_H

#include <stddef.h>

#include "attune/attune.h"

/* The features of a clip, as the plan says: `features` takes frames * coefficients floats. A clip
   of any length; what is missing is silence. Returns 0, or -1 where there is no memory. */
int mfcc(const attune_preprocess* how, const float* samples, long count, float* features);

/* 1 + (samples - frame_length) / frame_step. */
long mfcc_frames(const attune_preprocess* how);

#endif
