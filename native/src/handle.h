// What the functions of one mapping share. A handle belongs to the thread that created it, so nothing here is locked.
#pragma once

#include "mapping.h"

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace bedrock {

// The outcome of a call on a mapping; native/binding.ts has the same numbers. Success on persistent memory is undefined
// instead, because that costs nothing to return.
enum class Status : int32_t {
  unsynced = 1,  // done, but this mapping needs an msync
  closed = 2,
  outOfRange = 3,
  sourceOutOfRange = 4,
  invalid = 5,
  misaligned = 6,
  readOnly = 7,
  lost = 8,
};

// Held by an ArrayBuffer over the mapping: it keeps the file while the mapping is open, and the addresses as long as the buffer
// exists.
struct WindowHold {
  std::shared_ptr<Mapping> mapping;
  std::shared_ptr<AddressRange> range;
};

struct Handle {
  explicit Handle(napi_env environment, std::shared_ptr<Mapping> mapped)
      : env(environment), mapping(std::move(mapped)), base(mapping->base()), size(mapping->size()), isPmem(mapping->isPmem()),
        isReadOnly(mapping->isReadOnly()), sharedSlots(mapping->range()->slots()), slots(sharedSlots->numbers) {}
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  bool isOpen() const { return base != nullptr; }
  // Checked after the work of a call: the page that it touched may be the first lost one.
  bool isLost() const {
    double lost;
    __atomic_load(&slots[Slots::kLost], &lost, __ATOMIC_ACQUIRE);
    return lost != 0;
  }

  struct Window {
    napi_ref buffer;
    std::shared_ptr<WindowHold> hold;
  };

  napi_env const env;
  // Null when closed, as is `base`.
  std::shared_ptr<Mapping> mapping;
  uint8_t* base;
  const uint64_t size;
  const bool isPmem;
  const bool isReadOnly;
  const std::shared_ptr<Slots> sharedSlots;
  double* const slots;
  std::vector<Window> windows;
};

inline bool toSize(double number, uint64_t* size) {
  // NaN fails the first comparison.
  if (!(number >= 0 && number <= 9007199254740991.0)) return false;
  // Via int64_t: processors have no instruction for the unsigned conversion, and the workaround costs 5 ns per number.
  const auto whole = static_cast<int64_t>(number);
  *size = static_cast<uint64_t>(whole);
  return static_cast<double>(whole) == number;
}

// A size, offset or file position from JavaScript. @returns false unless it is a whole number from 0 to 2^53 - 1
inline bool toSize(napi_env env, napi_value value, uint64_t* size) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  return toSize(number, size);
}

// offset + size is within `limit`; written without a sum, so nothing can overflow
inline bool contains(uint64_t limit, uint64_t offset, uint64_t size) { return offset <= limit && size <= limit - offset; }

// The memory of a Uint8Array (also a Buffer); none if it is detached.
struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// Accepts typed arrays of all types, as checking the type costs 6 ns; TypeScript refuses other types. `size` counts elements,
// and an element is at least a byte, so nothing beyond the array is ever read.
inline bool toBytes(napi_env env, napi_value value, Bytes* bytes) {
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, nullptr, &bytes->size, &data, nullptr, nullptr) != napi_ok) return false;
  bytes->data = static_cast<uint8_t*>(data);
  if (data == nullptr) bytes->size = 0;
  return true;
}

inline napi_value toValue(napi_env env, Status status) {
  napi_value value = nullptr;
  napi_create_int32(env, static_cast<int32_t>(status), &value);
  return value;
}

// An ArrayBuffer over the handle's slots. It keeps the handle alive.
napi_status makeSlots(napi_env env, const std::shared_ptr<Handle>& handle, napi_value* buffer);

// Gives `object` a function that finds the handle in its data. The handle lives as long as any such function.
napi_status defineHandleFunction(napi_env env, napi_value object, const char* name, napi_callback callback,
                                 const std::shared_ptr<Handle>& handle);

// The functions of hot.cc.
napi_status defineHotFunctions(napi_env env, napi_value object, const std::shared_ptr<Handle>& handle);

}  // namespace bedrock
