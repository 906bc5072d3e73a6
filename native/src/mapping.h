// The lifetime of a mapping.
//
// Two things end at two times. The file is let go of when the mapping is closed and no work on another thread uses it any more: what
// holds a Mapping holds the file. The address range stays reserved, filled with zeros that belong to no file, for as long as an
// ArrayBuffer may point into it: what holds an AddressRange keeps others from being mapped there. So a pointer that outlived the
// mapping, as of a compression that runs on while its window is closed, finds memory that is valid and means nothing.
#pragma once

#include "media.h"

#include <atomic>
#include <memory>
#include <utility>

namespace bedrock {

class AddressRange {
 public:
  AddressRange(uint8_t* base, size_t size, bool isRegistered)
      : base_(base), size_(size), isRegistered_(isRegistered) {}
  ~AddressRange();
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  uint8_t* base() const { return base_; }
  size_t size() const { return size_; }
  // From here on pointers into the range may be anywhere.
  void expose() { isExposed_ = true; }
  // Puts zeros in the file's place, if pointers into the range may be left.
  void releaseFile();

 private:
  uint8_t* const base_;
  const size_t size_;
  const bool isRegistered_;
  std::atomic<bool> isExposed_{false};
  // Written by the one thread that drops the last Mapping, read by the one that drops the last AddressRange after it.
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

 private:
  const std::shared_ptr<AddressRange> range_;
  const bool isPmem_;
  const bool isReadOnly_;
};

}  // namespace bedrock
