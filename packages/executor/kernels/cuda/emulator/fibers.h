// Runs the blocks of a launch on fibers; see cuda.h.
#pragma once
#include "cuda.h"

namespace emulator {

struct Launch {
  Call call;
  Dim grid, block;
  unsigned sharedBytes;
};

/** In which order threads run, from now on: `forward`, `reverse`, or `shuffle` with a number. */
void setOrder(const char* given);

/** → null, or what went wrong. */
const char* run(const Launch& launch);

/** Kernel `name`, or null; `maxThreads` of its blocks. */
struct Entry {
  const char* name;
  unsigned maxThreads;
  Kernel kernel;
};
const Entry* find(const char* name);

}  // namespace emulator
