// The layer below a mapping: libpmem (media-libpmem.cc) where it is found when the process runs, else POSIX calls alone
// (media-posix.cc).
//
// Mechanism only: callers check ranges. Nothing here depends on JavaScript, and every function may run on any thread.
#pragma once

#include "libpmem.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bedrock::media {

// The flags of pmem_map_file, under our own names as libpmem.h need not be there; kReadOnly is our own.
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

// What depends on the choice, but is not on the path of a small write.
struct Medium {
  // Maps for reading and writing. map-file.cc has checked flags and length. Opens the path itself.
  MapResult (*mapFile)(const char* path, size_t size, int flags, mode_t mode);
  // Whether an open file is on persistent memory, so that loads from a mapping of it never wait for a disk.
  bool (*isPmemFile)(int fd);
  // Removes the file from the address range. The caller decides what happens with the range.
  void (*unregister)(uint8_t* base, size_t size);
  // For every kind of mapping. @returns 0 or errno
  int (*msync)(const uint8_t* address, size_t size);
  int (*deepPersist)(const uint8_t* address, size_t size, bool isPmem);
  // Whether PMEM_IS_PMEM_FORCE=1 was set when libpmem read it.
  bool (*isForced)();
  // 1, 0, or -1 if the platform does not report it.
  int (*hasAutoFlush)();
  int (*hasHardwareDrain)();
};

extern const Medium kLibpmem;
extern const Medium kPosix;

// The choice; the same for the whole life of a process.
inline const Medium& medium() { return libpmem::load().isFound ? kLibpmem : kPosix; }

// For persistent memory only, which no mapping is without libpmem: so these need not look.

inline void persist(const uint8_t* address, size_t size) { libpmem::calls.persist(address, size); }

inline void flush(const uint8_t* address, size_t size) { libpmem::calls.flush(address, size); }

inline void drain() { libpmem::calls.drain(); }

// The ranges may overlap. With `drains` durable on return, else after the next drain() of the same thread. memmove, not memcpy:
// the source may be a window of the same mapping. libpmem uses the same code for both.
inline void copy(uint8_t* to, const uint8_t* from, size_t size, bool drains) {
  (drains ? libpmem::calls.memmove_persist : libpmem::calls.memmove_nodrain)(to, from, size);
}

inline void fill(uint8_t* to, int value, size_t size, bool drains) {
  (drains ? libpmem::calls.memset_persist : libpmem::calls.memset_nodrain)(to, value, size);
}

}  // namespace bedrock::media
