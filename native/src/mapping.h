// The lifetime of a mapping.
//
// Two resources end at different times. The file is released when the mapping is closed and no work on another thread uses it
// any more: a Mapping holds the file. The address range stays reserved, filled with zeros that belong to no file, as long as an
// ArrayBuffer may point into it: an AddressRange keeps anything else from being mapped there. So a pointer that outlives the
// mapping, for example in a compression that continues while its window is closed, reads valid memory without meaning.
#pragma once

#include "lost-pages.h"
#include "media.h"

#include <atomic>
#include <memory>
#include <utility>

namespace bedrock {

// Numbers that JavaScript and C++ share for a mapping: the arguments of a hot call, and whether pages are lost. TypeScript
// writes the arguments here because reading them is several times as fast as reading call arguments, and large offsets need no
// heap object. It outlives the mapping.
struct Slots {
  enum Index { kOffset, kSize, kThird, kLost, kCount };
  double numbers[kCount] = {};
};

class AddressRange {
 public:
  // @param file a descriptor of the mapped file, which this object will close; or -1
  AddressRange(uint8_t* base, size_t size, bool isRegistered, int file)
      : base_(base), size_(size), isRegistered_(isRegistered), file_(file),
        watch_(lost_pages::watch(base, size, file, &slots_->numbers[Slots::kLost])) {}
  ~AddressRange();
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  uint8_t* base() const { return base_; }
  size_t size() const { return size_; }
  const std::shared_ptr<Slots>& slots() const { return slots_; }
  // From here on there may be pointers into the range anywhere.
  void expose() { isExposed_ = true; }
  // Called when nothing uses the file through this range any more. Replaces the file with zeros if pointers into the range may
  // be left.
  void releaseFile();

 private:
  uint8_t* const base_;
  const size_t size_;
  const bool isRegistered_;
  const std::shared_ptr<Slots> slots_ = std::make_shared<Slots>();
  int file_;
  lost_pages::Watch* const watch_;
  std::atomic<bool> isExposed_{false};
  // Written by the thread that drops the last Mapping, read by the thread that later drops the last AddressRange.
  enum class Contents { file, zeros, lost } contents_ = Contents::file;
};

class Mapping {
 public:
  Mapping(std::shared_ptr<AddressRange> range, bool isPmem, bool isReadOnly)
      : range_(std::move(range)), isPmem_(isPmem), isReadOnly_(isReadOnly) {}
  ~Mapping() { range_->releaseFile(); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* base() const { return range_->base(); }
  size_t size() const { return range_->size(); }
  bool isPmem() const { return isPmem_; }
  // Stores stay in this process; nothing makes them durable.
  bool isReadOnly() const { return isReadOnly_; }
  const std::shared_ptr<AddressRange>& range() const { return range_; }
  // Whether a page was lost: then it is uncertain whether what was loaded or stored is in the file.
  bool isLost() const {
    double lost;
    __atomic_load(&range_->slots()->numbers[Slots::kLost], &lost, __ATOMIC_ACQUIRE);
    return lost != 0;
  }

 private:
  const std::shared_ptr<AddressRange> range_;
  const bool isPmem_;
  const bool isReadOnly_;
};

}  // namespace bedrock
