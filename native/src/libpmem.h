// libpmem, found when the process runs and not when the addon is built: so one binary serves machines with it and without, and a
// library that is installed later is there from the next start of a process on.
#pragma once

#include <cstddef>
#include <string>
#include <sys/types.h>

namespace bedrock {

// The functions that are used (libpmem(7)); all of them are there, or none. Nothing changes after the load.
struct Libpmem {
  void* (*map_file)(const char* path, size_t size, int flags, mode_t mode, size_t* mapped, int* isPmem) = nullptr;
  int (*unmap)(void* address, size_t size) = nullptr;
  int (*msync)(const void* address, size_t size) = nullptr;
  int (*deep_persist)(const void* address, size_t size) = nullptr;
  void (*persist)(const void* address, size_t size) = nullptr;
  void (*flush)(const void* address, size_t size) = nullptr;
  void (*drain)() = nullptr;
  void* (*memmove_persist)(void* to, const void* from, size_t size) = nullptr;
  void* (*memmove_nodrain)(void* to, const void* from, size_t size) = nullptr;
  void* (*memset_persist)(void* to, int value, size_t size) = nullptr;
  void* (*memset_nodrain)(void* to, int value, size_t size) = nullptr;
  int (*has_auto_flush)() = nullptr;
  int (*has_hw_drain)() = nullptr;
};

// What was found, for people.
struct LibpmemSearch {
  bool isFound = false;
  // The file that was loaded.
  std::string path;
  // As the library tells it, or "1" if it does not.
  std::string version;
  // Why there is none.
  std::string reason;
};

namespace libpmem {

// Null pointers until load() has found it.
extern Libpmem calls;

// Looks for it once in a process: BEDROCK_LIBPMEM names a file, or is "off"; else the system's libpmem.so.1. Any thread.
const LibpmemSearch& load();

inline bool isLoaded() { return calls.map_file != nullptr; }

}  // namespace libpmem

}  // namespace bedrock
