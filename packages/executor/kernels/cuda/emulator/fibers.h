// Runs the blocks of a launch on fibers; see cuda.h.
#pragma once
#include "cuda.h"

namespace emulator {

struct Launch {
  Call call;
  Dim grid, block;
  unsigned sharedBytes;
};

/** Sets the order in which threads run: `forward`, `reverse`, or `shuffle` with a number. */
void setOrder(const char* given);

/** Runs a launch; returns null, or an error message. */
const char* run(const Launch& launch);

/** A kernel by name, with the most threads that its blocks may have. */
struct Entry {
  const char* name;
  unsigned maxThreads;
  Kernel kernel;
};
const Entry* find(const char* name);

}  // namespace emulator
