#pragma once

#include <memory>

#include "attune/allocator.h"
#include "attune/plan.h"
#include "attune/session.h"
#include "engine/c_api/home.h"

// What the opaque types of attune.h are.

struct attune_plan {
  attune::c_api::Home home;
  attune::Plan plan;
};

struct attune_session {
  attune::c_api::Home home;
  attune::c_api::Offer offer;  // of the options, for the trainer
  const attune_plan* plan = nullptr;
  attune_parallel_for parallel = {};
  attune_clock clock = {};
  attune_trainer* trainer = nullptr;                // that uses it
  attune::BlockAllocator* trainer_block = nullptr;  // of the trainer's memory, where that is given
  std::unique_ptr<attune::Session> session;
};

namespace attune::c_api {

// A program by its number.
attune_status program_of(attune_program number, ProgramKind* kind, attune_error* error);
// The same, which the session must have.
attune_status program_of(const attune_session* session, attune_program number, ProgramKind* kind,
                         attune_error* error);

}  // namespace attune::c_api
