// Releases files and addresses. mapping.h describes what ends when.
#include "mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <mutex>

namespace bedrock {

namespace {

// Address ranges that are no longer known to be in use, but which a thread of the pool may still read (zlib and crypto read
// their input through bare pointers). They cost no memory. The oldest are unmapped when there are too many. Never destroyed:
// threads may outlive main().
class Quarantine {
 public:
  void add(uint8_t* base, size_t size) {
    const std::lock_guard<std::mutex> guard(mutex_);
    ranges_.push_back({base, size});
    total_ += size;
    while (ranges_.size() > kMaxRanges || total_ > kMaxBytes) {
      const auto [oldBase, oldSize] = ranges_.front();
      ranges_.pop_front();
      total_ -= oldSize;
      munmap(oldBase, oldSize);
    }
  }

 private:
  static constexpr size_t kMaxRanges = 64;
  // A sixteenth of a process's address space.
  static constexpr size_t kMaxBytes = size_t{1} << 43;

  std::mutex mutex_;
  std::deque<std::pair<uint8_t*, size_t>> ranges_;
  size_t total_ = 0;
};

Quarantine& quarantine() {
  static auto* const instance = new Quarantine;
  return *instance;
}

// MAP_NORESERVE: pages that are never touched must not count as used memory.
constexpr int kPlaceholder = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

bool placeZeros(uint8_t* base, size_t size, int fixed) {
  return mmap(base, size, PROT_READ | PROT_WRITE, kPlaceholder | fixed, -1, 0) == base;
}

}  // namespace

void AddressRange::releaseFile() {
  lost_pages::forget(watch_);
  if (file_ >= 0) close(file_);
  file_ = -1;
  if (!isExposed_) return;
  if (!isRegistered_) {
    // In one step, so that nothing else can be mapped here in between. If it fails, the file stays mapped until the range is
    // released.
    if (placeZeros(base_, size_, MAP_FIXED)) contents_ = Contents::zeros;
    return;
  }
  // Unmapping by libpmem leaves a gap for a moment. If another thread maps something there, the range is no longer ours.
  media::medium().unregister(base_, size_);
  contents_ = Contents::lost;
#ifdef MAP_FIXED_NOREPLACE
  void* const placed = mmap(base_, size_, PROT_READ | PROT_WRITE, kPlaceholder | MAP_FIXED_NOREPLACE, -1, 0);
  if (placed == base_) {
    contents_ = Contents::zeros;
  } else if (placed != MAP_FAILED) {
    // A kernel before 4.17 treats the address as a hint.
    munmap(placed, size_);
  }
#endif
}

AddressRange::~AddressRange() {
  switch (contents_) {
    case Contents::file:
      if (isRegistered_) {
        media::medium().unregister(base_, size_);
      } else {
        munmap(base_, size_);
      }
      return;
    case Contents::zeros:
      quarantine().add(base_, size_);
      return;
    case Contents::lost:
      return;
  }
}

}  // namespace bedrock
