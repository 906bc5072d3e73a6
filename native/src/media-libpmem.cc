// Persistent memory through libpmem (pmem_map_file(3), pmem_flush(3), pmem_memmove_persist(3)).
#include "media.h"

#include <libpmem.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace bedrock::media {

static_assert(kCreate == PMEM_FILE_CREATE && kExclusive == PMEM_FILE_EXCL && kSparse == PMEM_FILE_SPARSE &&
              kTmpfile == PMEM_FILE_TMPFILE);

namespace {

bool forced = false;
bool denied = false;

// libpmem reads PMEM_IS_PMEM_FORCE at the first mapping and never again. This does the same, at the same moment.
void readForced() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* value = std::getenv("PMEM_IS_PMEM_FORCE");
    forced = value != nullptr && std::strcmp(value, "1") == 0;
    denied = value != nullptr && std::strcmp(value, "0") == 0;
  });
}

}  // namespace

MapResult mapFile(const char* path, size_t size, int flags, mode_t mode) {
  readForced();
  MapResult result;
  int isPmem = 0;
  errno = 0;
  void* base = pmem_map_file(path, size, flags, mode, &result.size, &isPmem);
  if (base == nullptr) {
    result.error = errno == 0 ? EINVAL : errno;
    result.message = std::string("pmem_map_file: ") + std::strerror(result.error);
    return result;
  }
  result.base = static_cast<uint8_t*>(base);
  result.isPmem = isPmem != 0;
  // In forced mode libpmem's registration does not matter.
  result.isRegistered = result.isPmem && !forced;
  return result;
}

bool isPmemFile(int fd) {
  readForced();
  if (forced || denied) return forced;
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

void unregister(uint8_t* base, size_t size) { pmem_unmap(base, size); }

void persist(const uint8_t* address, size_t size) { pmem_persist(address, size); }

void flush(const uint8_t* address, size_t size) { pmem_flush(address, size); }

void drain() { pmem_drain(); }

void copy(uint8_t* to, const uint8_t* from, size_t size, bool drains) {
  // memmove, not memcpy: the source may be a window of the same mapping. libpmem uses the same code for both.
  if (drains) {
    pmem_memmove_persist(to, from, size);
  } else {
    pmem_memmove_nodrain(to, from, size);
  }
}

void fill(uint8_t* to, int value, size_t size, bool drains) {
  if (drains) {
    pmem_memset_persist(to, value, size);
  } else {
    pmem_memset_nodrain(to, value, size);
  }
}

int msync(const uint8_t* address, size_t size) {
  if (size == 0) return 0;
  return pmem_msync(address, size) == 0 ? 0 : errno;
}

int deepPersist(const uint8_t* address, size_t size, bool isPmem) {
  if (!isPmem) return msync(address, size);
  return pmem_deep_persist(address, size) == 0 ? 0 : errno;
}

const char* libpmemVersion() { return BEDROCK_LIBPMEM_VERSION; }

bool isForced() {
  readForced();
  return forced;
}

int hasAutoFlush() { return pmem_has_auto_flush(); }

int hasHardwareDrain() { return pmem_has_hw_drain(); }

}  // namespace bedrock::media
