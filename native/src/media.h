// The layer below a mapping: libpmem (media-libpmem.cc), or POSIX calls alone (media-posix.cc). The build uses one of the two.
//
// Mechanism only: callers check ranges. Nothing here depends on JavaScript, and every function may run on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bedrock::media {

// The flags of pmem_map_file, under our own names because the POSIX build has no libpmem.h; kReadOnly is our own.
enum MapFlags : int { kCreate = 1, kExclusive = 2, kSparse = 4, kTmpfile = 8, kReadOnly = 16 };

struct MapResult {
  uint8_t* base = nullptr;
  size_t size = 0;
  bool isPmem = false;
  // The range is registered with libpmem, and must be unmapped by libpmem.
  bool isRegistered = false;
  // errno if base is null, with a message for this call: pmem_errormsg(3) may still hold the text of an earlier one.
  int error = 0;
  std::string message;
};

// Maps for reading and writing. map-file.cc has checked flags and length. Opens the path itself.
MapResult mapFile(const char* path, size_t size, int flags, mode_t mode);
// Whether an open file is on persistent memory, so that loads from a mapping of it never wait for a disk.
bool isPmemFile(int fd);
// Removes the file from the address range. The caller decides what happens with the range.
void unregister(uint8_t* base, size_t size);

// For persistent memory only.
void persist(const uint8_t* address, size_t size);
void flush(const uint8_t* address, size_t size);
void drain();
// The ranges may overlap. With `drains` durable on return, else after the next drain() of the same thread.
void copy(uint8_t* to, const uint8_t* from, size_t size, bool drains);
void fill(uint8_t* to, int value, size_t size, bool drains);

// For every kind of mapping. @returns 0 or errno
int msync(const uint8_t* address, size_t size);
int deepPersist(const uint8_t* address, size_t size, bool isPmem);

// The version of libpmem that this was built with; null without libpmem.
const char* libpmemVersion();
// Whether PMEM_IS_PMEM_FORCE=1 was set when libpmem read it.
bool isForced();
// 1, 0, or -1 if the platform does not report it.
int hasAutoFlush();
int hasHardwareDrain();

}  // namespace bedrock::media
