// The calls on the path of a small durable write. They use raw Node-API and allocate nothing: 64 durable bytes take 200 ns, and
// a wrapper would add 50 ns.
//
// Each call finds its mapping in the function's data, and its numbers in the mapping's slots. Only objects and bigints are
// arguments. It returns a number that TypeScript turns into an error. No JavaScript runs between a check and its use: nothing
// here calls back, and only its own thread closes a mapping.
#include "crc32c.h"
#include "handle.h"

namespace bedrock {

namespace {

// @returns the handle if the mapping is open; missing arguments are undefined
const Handle* openHandle(napi_env env, napi_callback_info info, size_t count = 0, napi_value* arguments = nullptr) {
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, &data) != napi_ok) return nullptr;
  const auto* handle = static_cast<const Handle*>(data);
  return handle->isOpen() ? handle : nullptr;
}

// Each slot is read once: its buffer may have been transferred to another thread, which could change it between a check and its
// use.
bool slot(const Handle& handle, Slots::Index index, uint64_t* value) {
  return toSize(static_cast<const volatile double&>(handle.slots[index]), value);
}

struct Range {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The range in the slots. @returns false with the reason in `fault`
bool slotRange(const Handle& handle, Range* range, Status* fault) {
  *fault = Status::invalid;
  if (!slot(handle, Slots::kOffset, &range->offset) || !slot(handle, Slots::kSize, &range->size)) return false;
  *fault = Status::outOfRange;
  return contains(handle.size, range->offset, range->size);
}

// The outcome of a call that has done its work.
napi_value done(napi_env env, const Handle& handle) {
  if (handle.isLost()) return toValue(env, Status::lost);
  return handle.isPmem ? nullptr : toValue(env, Status::unsynced);
}

template <bool kDrains>
napi_value copy(napi_env env, napi_callback_info info) {
  napi_value argument;
  const Handle* handle = openHandle(env, info, 1, &argument);
  if (handle == nullptr) return toValue(env, Status::closed);
  Bytes source;
  Range range;
  uint64_t sourceOffset;
  Status fault;
  if (!slot(*handle, Slots::kThird, &sourceOffset)) return toValue(env, Status::invalid);
  if (!slotRange(*handle, &range, &fault)) return toValue(env, fault);
  if (!toBytes(env, argument, &source)) return toValue(env, Status::invalid);
  if (!contains(source.size, sourceOffset, range.size)) return toValue(env, Status::sourceOutOfRange);
  if (range.size == 0) return nullptr;
  if (handle->isPmem) {
    media::copy(handle->base + range.offset, source.data + sourceOffset, range.size, kDrains);
  } else {
    __builtin_memmove(handle->base + range.offset, source.data + sourceOffset, range.size);
  }
  return done(env, *handle);
}

template <bool kDrains>
napi_value fill(napi_env env, napi_callback_info info) {
  const Handle* handle = openHandle(env, info);
  if (handle == nullptr) return toValue(env, Status::closed);
  Range range;
  uint64_t value;
  Status fault;
  if (!slotRange(*handle, &range, &fault)) return toValue(env, fault);
  if (!slot(*handle, Slots::kThird, &value) || value > 255) return toValue(env, Status::invalid);
  if (range.size == 0) return nullptr;
  if (handle->isPmem) {
    media::fill(handle->base + range.offset, static_cast<int>(value), range.size, kDrains);
  } else {
    __builtin_memset(handle->base + range.offset, static_cast<int>(value), range.size);
  }
  return done(env, *handle);
}

template <bool kDrains>
napi_value flush(napi_env env, napi_callback_info info) {
  const Handle* handle = openHandle(env, info);
  if (handle == nullptr) return toValue(env, Status::closed);
  Range range;
  Status fault;
  if (!slotRange(*handle, &range, &fault)) return toValue(env, fault);
  if (handle->isPmem) {
    if (kDrains) {
      media::persist(handle->base + range.offset, range.size);
    } else {
      media::flush(handle->base + range.offset, range.size);
    }
  }
  return done(env, *handle);
}

napi_value drain(napi_env env, napi_callback_info info) {
  const Handle* handle = openHandle(env, info);
  if (handle == nullptr) return toValue(env, Status::closed);
  if (handle->isPmem) media::drain();
  return done(env, *handle);
}

// Alternating offsets and sizes in a Float64Array: reading an array of objects would cost more than the flush.
napi_value persistRanges(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  const Handle* handle = openHandle(env, info, 2, arguments);
  if (handle == nullptr) return toValue(env, Status::closed);
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  uint64_t count;
  if (napi_get_typedarray_info(env, arguments[0], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array || !toSize(env, arguments[1], &count) || count > length / 2 || (data == nullptr && count > 0)) {
    return toValue(env, Status::invalid);
  }
  // Each number is read once, for the same reason as the slots.
  const auto* numbers = static_cast<const volatile double*>(data);
  Status fault = Status::unsynced;
  for (uint64_t i = 0; i < count; i++) {
    Range range;
    if (!toSize(numbers[2 * i], &range.offset) || !toSize(numbers[2 * i + 1], &range.size) ||
        !contains(handle->size, range.offset, range.size)) {
      fault = Status::outOfRange;
      break;
    }
    if (handle->isPmem) media::flush(handle->base + range.offset, range.size);
  }
  if (handle->isPmem) media::drain();
  return fault == Status::outOfRange ? toValue(env, fault) : done(env, *handle);
}

// The word at the offset in the slots.
bool slotWord(const Handle& handle, uint64_t** word, Status* fault) {
  uint64_t offset;
  *fault = Status::invalid;
  if (!slot(handle, Slots::kOffset, &offset)) return false;
  *fault = Status::outOfRange;
  if (!contains(handle.size, offset, sizeof(uint64_t))) return false;
  *fault = Status::misaligned;
  *word = reinterpret_cast<uint64_t*>(handle.base + offset);
  return offset % sizeof(uint64_t) == 0;
}

template <bool kDrains>
napi_value store64(napi_env env, napi_callback_info info) {
  napi_value argument;
  const Handle* handle = openHandle(env, info, 1, &argument);
  if (handle == nullptr) return toValue(env, Status::closed);
  uint64_t value = 0;
  bool isLossless = false;
  if (napi_get_value_bigint_uint64(env, argument, &value, &isLossless) != napi_ok || !isLossless) {
    return toValue(env, Status::invalid);
  }
  uint64_t* word = nullptr;
  Status fault;
  if (!slotWord(*handle, &word, &fault)) return toValue(env, fault);
  // One instruction, so a power failure leaves the old value or the new one. Release order keeps the compiler from moving
  // earlier stores, which the word may publish, behind it.
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
  if (handle->isPmem) {
    if (kDrains) {
      media::persist(reinterpret_cast<const uint8_t*>(word), sizeof(*word));
    } else {
      media::flush(reinterpret_cast<const uint8_t*>(word), sizeof(*word));
    }
  }
  return done(env, *handle);
}

// The kinds of stores in a list; native/store-list.ts describes its bytes.
enum class Kind : uint64_t { copy = 0, word = 1, zeros = 2, drain = 3 };

constexpr size_t kStoreHead = 3 * sizeof(double);

// Carries out the store at `at`, which is moved behind it. @returns false with the reason in `fault`
bool carryOut(const Handle& handle, const Bytes& list, uint64_t size, uint64_t* at, Status* fault) {
  *fault = Status::invalid;
  if (size - *at < kStoreHead) return false;
  double head[3];
  __builtin_memcpy(head, list.data + *at, sizeof(head));
  uint64_t kind;
  Range range;
  if (!toSize(head[0], &kind) || !toSize(head[1], &range.offset) || !toSize(head[2], &range.size)) return false;
  *at += kStoreHead;
  if (kind > static_cast<uint64_t>(Kind::drain)) return false;
  if (static_cast<Kind>(kind) == Kind::drain) {
    media::drain();
    return true;
  }
  *fault = Status::outOfRange;
  if (!contains(handle.size, range.offset, range.size)) return false;
  uint8_t* const to = handle.base + range.offset;
  if (static_cast<Kind>(kind) == Kind::zeros) {
    media::fill(to, 0, range.size, false);
    return true;
  }
  *fault = Status::sourceOutOfRange;
  if (range.size > size - *at) return false;
  const uint8_t* const from = list.data + *at;
  *at += (range.size + 7) & ~uint64_t{7};
  if (*at > size) return false;
  if (static_cast<Kind>(kind) == Kind::copy) {
    media::copy(to, from, range.size, false);
    return true;
  }
  *fault = Status::misaligned;
  if (range.size != sizeof(uint64_t) || range.offset % sizeof(uint64_t) != 0) return false;
  uint64_t value;
  __builtin_memcpy(&value, from, sizeof(value));
  // As in store64.
  __atomic_store_n(reinterpret_cast<uint64_t*>(to), value, __ATOMIC_RELEASE);
  media::flush(to, sizeof(uint64_t));
  return true;
}

// A list of stores, of as many bytes as the slots say; for persistent memory only. At a fault, those before it were carried out.
napi_value carryOutAll(napi_env env, napi_callback_info info) {
  napi_value argument;
  const Handle* handle = openHandle(env, info, 1, &argument);
  if (handle == nullptr) return toValue(env, Status::closed);
  Bytes list;
  uint64_t size;
  if (!handle->isPmem || !slot(*handle, Slots::kSize, &size) || !toBytes(env, argument, &list) || size > list.size) {
    return toValue(env, Status::invalid);
  }
  Status fault;
  for (uint64_t at = 0; at < size;) {
    if (!carryOut(*handle, list, size, &at, &fault)) return toValue(env, fault);
  }
  return done(env, *handle);
}

napi_value load64(napi_env env, napi_callback_info info) {
  const Handle* handle = openHandle(env, info);
  if (handle == nullptr) return toValue(env, Status::closed);
  uint64_t* word = nullptr;
  Status fault;
  if (!slotWord(*handle, &word, &fault)) return toValue(env, fault);
  const uint64_t loaded = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  if (handle->isLost()) return toValue(env, Status::lost);
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, loaded, &value);
  return value;
}

// Statuses are negated here, to tell them from checksums.
napi_value checksum(napi_env env, napi_callback_info info) {
  const Handle* handle = openHandle(env, info);
  Range range;
  uint64_t seed = 0;
  Status fault = Status::closed;
  if (handle != nullptr && slotRange(*handle, &range, &fault)) {
    fault = Status::invalid;
    if (slot(*handle, Slots::kThird, &seed) && seed <= UINT32_MAX) {
      const uint32_t crc = crc32c(static_cast<uint32_t>(seed), handle->base + range.offset, range.size);
      fault = Status::lost;
      if (!handle->isLost()) {
        napi_value result = nullptr;
        napi_create_uint32(env, crc, &result);
        return result;
      }
    }
  }
  napi_value result = nullptr;
  napi_create_int32(env, -static_cast<int32_t>(fault), &result);
  return result;
}

// Takes the place of every call that stores, in a read-only mapping. So those calls need not check.
napi_value refuse(napi_env env, napi_callback_info info) {
  return toValue(env, openHandle(env, info) == nullptr ? Status::closed : Status::readOnly);
}

}  // namespace

napi_status defineHotFunctions(napi_env env, napi_value object, const std::shared_ptr<Handle>& handle) {
  const struct {
    const char* name;
    napi_callback callback;
    bool isLoad;
    // clang-format off
  } functions[] = {
      {"copyPersist", copy<true>, false},   {"copy", copy<false>, false},
      {"fillPersist", fill<true>, false},   {"fill", fill<false>, false},
      {"persist", flush<true>, false},      {"flush", flush<false>, false},
      {"drain", drain, false},              {"persistRanges", persistRanges, false},
      {"storePersist64", store64<true>, false}, {"store64", store64<false>, false},
      {"carryOut", carryOutAll, false},     {"load64", load64, true},
      {"crc32c", checksum, true},
  };
  // clang-format on
  for (const auto& [name, callback, isLoad] : functions) {
    const napi_callback used = handle->isReadOnly && !isLoad ? refuse : callback;
    const napi_status status = defineHandleFunction(env, object, name, used, handle);
    if (status != napi_ok) return status;
  }
  return napi_ok;
}

}  // namespace bedrock
