// What the stand-in of NCCL needs of the emulated driver.
#pragma once
#include <cstddef>
#include <functional>

namespace emulator {

/** The code that an API function returns at its start: 0, or the fault that is injected into it. */
int begin(const char* function);
/** Whether `bytes` from `address` on are within one block of device memory. */
bool isDevice(unsigned long long address, size_t bytes);
/** Queues work on a stream; it returns a code of the driver. */
int submit(void* stream, std::function<int()> work);

}  // namespace emulator
