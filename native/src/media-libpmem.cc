// Persistent memory through libpmem (pmem_map_file(3), pmem_flush(3), pmem_memmove_persist(3)).
#include "media.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace bedrock::media {

namespace {

struct Force {
  bool isForced = false;
  bool isDenied = false;
};

// libpmem reads PMEM_IS_PMEM_FORCE at the first mapping and never again. This does the same, at the same moment.
const Force& force() {
  static const Force read = [] {
    const char* value = std::getenv("PMEM_IS_PMEM_FORCE");
    return Force{value != nullptr && std::strcmp(value, "1") == 0, value != nullptr && std::strcmp(value, "0") == 0};
  }();
  return read;
}

MapResult mapFile(const char* path, size_t size, int flags, mode_t mode) {
  const bool isForced = force().isForced;
  MapResult result;
  int isPmem = 0;
  errno = 0;
  void* base = libpmem::calls.map_file(path, size, flags, mode, &result.size, &isPmem);
  if (base == nullptr) {
    result.error = errno == 0 ? EINVAL : errno;
    result.message = std::string("pmem_map_file: ") + std::strerror(result.error);
    return result;
  }
  result.base = static_cast<uint8_t*>(base);
  result.isPmem = isPmem != 0;
  // In forced mode libpmem's registration does not matter.
  result.isRegistered = result.isPmem && !isForced;
  return result;
}

bool isPmemFile(int fd) {
  if (force().isForced || force().isDenied) return force().isForced;
#if defined(MAP_SYNC) && defined(MAP_SHARED_VALIDATE)
  // libpmem checks the same: only a DAX file system accepts MAP_SYNC.
  void* const page = mmap(nullptr, 1, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
  if (page == MAP_FAILED) return false;
  munmap(page, 1);
  return true;
#else
  return false;
#endif
}

void unregister(uint8_t* base, size_t size) { libpmem::calls.unmap(base, size); }

int msync(const uint8_t* address, size_t size) {
  if (size == 0) return 0;
  return libpmem::calls.msync(address, size) == 0 ? 0 : errno;
}

int deepPersist(const uint8_t* address, size_t size, bool isPmem) {
  if (!isPmem) return msync(address, size);
  return libpmem::calls.deep_persist(address, size) == 0 ? 0 : errno;
}

bool isForced() { return force().isForced; }

int hasAutoFlush() { return libpmem::calls.has_auto_flush(); }

int hasHardwareDrain() { return libpmem::calls.has_hw_drain(); }

}  // namespace

const Medium kLibpmem = {mapFile, isPmemFile, unregister, msync, deepPersist, isForced, hasAutoFlush, hasHardwareDrain};

}  // namespace bedrock::media
