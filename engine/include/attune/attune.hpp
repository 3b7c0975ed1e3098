#pragma once

// All of the device library: plans, sessions, training, checkpoints.
#include "attune/checkpoint.h"
#include "attune/custom_operator.h"
#include "attune/dataset.h"
#include "attune/device_check.h"
#include "attune/parameters.h"
#include "attune/plan.h"
#include "attune/port.h"
#include "attune/preprocess.h"
#include "attune/run.h"
#include "attune/schedule.h"
#include "attune/session.h"
#include "attune/statistics.h"
#include "attune/status.h"
#include "attune/trainer.h"
