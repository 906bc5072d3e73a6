// What lies under a mapping: libpmem (media-libpmem.cc), or POSIX calls alone (media-posix.cc); the build takes one of the two.
//
// Mechanism only: ranges are checked by the callers. Nothing here knows of JavaScript, and everything may run on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bedrock::media {

// The bits of pmem_map_file's flags, under our own names because the POSIX build knows no libpmem.h; and one that is ours.
enum MapFlags : int { kCreate = 1, kExclusive = 2, kSparse = 4, kTmpfile = 8, kReadOnly = 16 };

struct MapResult {
  uint8_t* base = nullptr;
  size_t size = 0;
  bool isPmem = false;
  // The range is registered in libpmem's own books, and must leave them by libpmem's own call.
  bool isRegistered = false;
  // errno if base is null, with a message of this call: pmem_errormsg(3) may still hold the text of an earlier one.
  int error = 0;
  std::string message;
};

// For reading and writing, by the rules for flags and lengths that map-file.cc has checked. What it names is opened by it.
MapResult mapFile(const char* path, size_t size, int flags, mode_t mode);
// Whether an open file lies on persistent memory, so that loads from a mapping of it wait for no disk.
bool isPmemFile(int fd);
// Takes the file out of the address range; what else becomes of the range is the caller's.
void unregister(uint8_t* base, size_t size);

// For persistent memory only.
void persist(const uint8_t* address, size_t size);
void flush(const uint8_t* address, size_t size);
void drain();
// The ranges may overlap. With `drains` durable on return, else after the next drain() of the same thread.
void copy(uint8_t* to, const uint8_t* from, size_t size, bool drains);
void fill(uint8_t* to, int value, size_t size, bool drains);

// For every mapping. @returns 0 or errno
int msync(const uint8_t* address, size_t size);
int deepPersist(const uint8_t* address, size_t size, bool isPmem);

// The version of libpmem that this was built with; null without libpmem.
const char* libpmemVersion();
// PMEM_IS_PMEM_FORCE=1 was set when libpmem looked at it.
bool isForced();
// 1, 0, or -1 where the platform does not tell.
int hasAutoFlush();
int hasHardwareDrain();

}  // namespace bedrock::media
