// The functions of a mapping that may take long: windows, work on the thread pool, msync, close.
#include "addon.h"
#include "crc32c.h"
#include "task.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bedrock {

namespace {

// An ArrayBuffer over 2^32 bytes crashes Node.js 20, and two at one address crash some builds of V8. Windows that start every 2
// GiB and span 4 GiB avoid both, and any range of up to 2 GiB lies within one of them.
constexpr uint64_t kWindowStride = uint64_t{1} << 31;
constexpr uint64_t kWindowSpan = uint64_t{1} << 32;

Handle& handleOf(const Napi::CallbackInfo& info) { return *static_cast<Handle*>(info.Data()); }

// The handle, if it is open and the arguments `first` and `first + 1` are a range of it; else null, with the status in `fault`.
Handle* openRange(const Napi::CallbackInfo& info, uint64_t* offset, uint64_t* size, Status* fault) {
  Handle& handle = handleOf(info);
  *fault = Status::closed;
  if (!handle.isOpen()) return nullptr;
  *fault = Status::invalid;
  if (!toSize(info.Env(), info[0], offset) || !toSize(info.Env(), info[1], size)) return nullptr;
  *fault = Status::outOfRange;
  return contains(handle.size, *offset, *size) ? &handle : nullptr;
}

// The same for functions that store or make durable.
Handle* writableRange(const Napi::CallbackInfo& info, uint64_t* offset, uint64_t* size, Status* fault) {
  Handle* const handle = openRange(info, offset, size, fault);
  if (handle == nullptr || !handle->isReadOnly) return handle;
  *fault = Status::readOnly;
  return nullptr;
}

Napi::Value faultValue(const Napi::CallbackInfo& info, Status fault) { return {info.Env(), toValue(info.Env(), fault)}; }

// The outcome of work on a mapping. The system reports success even if zeros have replaced a lost page.
Outcome outcomeOf(const Mapping& mapping, int error = 0) {
  if (error != 0) return {error, std::string("msync: ") + std::strerror(error)};
  if (mapping.isLost()) return {EIO, "a part of the mapped file is lost: it was cut off, or its medium failed"};
  return {};
}

// window(index): a new ArrayBuffer over the window. TypeScript calls it once per window.
Napi::Value window(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Handle& handle = handleOf(info);
  uint64_t index = 0;
  if (!handle.isOpen()) return faultValue(info, Status::closed);
  if (!toSize(env, info[0], &index)) return faultValue(info, Status::invalid);
  const uint64_t count = std::max<uint64_t>(1, (handle.size + kWindowStride - 1) / kWindowStride);
  if (index >= count) return faultValue(info, Status::outOfRange);

  if (handle.windows.size() <= index) handle.windows.resize(index + 1);
  Handle::Window& known = handle.windows[index];
  if (known.buffer != nullptr) {
    napi_value buffer = nullptr;
    napi_get_reference_value(env, known.buffer, &buffer);
    return {env, buffer};
  }

  const uint64_t offset = index * kWindowStride;
  const uint64_t size = std::min(kWindowSpan, handle.size - offset);
  auto hold = std::make_shared<WindowHold>(WindowHold{handle.mapping, handle.mapping->range()});
  hold->range->expose();
  auto* const share = new std::shared_ptr<WindowHold>(hold);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, handle.base + offset, size,
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<WindowHold>*>(hint); }, share, &buffer);
  // It is not documented whether a failed call has run the finalizer, so `share` is left alone: a leak, but no double free.
  if (status != napi_ok) throw Napi::Error::New(env);
  napi_ref reference = nullptr;
  if (napi_create_reference(env, buffer, 1, &reference) != napi_ok) {
    // JavaScript has not seen it yet. Without a reference it could not be detached later.
    napi_detach_arraybuffer(env, buffer);
    throw Napi::Error::New(env);
  }
  known = {reference, std::move(hold)};
  return {env, buffer};
}

using Step = int (*)(uint8_t* address, uint64_t size, bool isPmem);

// A function that runs `kStep` on a range, on the thread pool.
template <Step kStep>
Napi::Value onPool(const Napi::CallbackInfo& info) {
  uint64_t offset;
  uint64_t size;
  Status fault;
  const Handle* handle = writableRange(info, &offset, &size, &fault);
  if (handle == nullptr) return faultValue(info, fault);
  return Task::start(info.Env(), [mapping = handle->mapping, offset, size] {
    return outcomeOf(*mapping, kStep(mapping->base() + offset, size, mapping->isPmem()));
  });
}

int syncStep(uint8_t* address, uint64_t size, bool) { return media::medium().msync(address, size); }

int persistStep(uint8_t* address, uint64_t size, bool isPmem) {
  if (!isPmem) return media::medium().msync(address, size);
  media::persist(address, size);
  return 0;
}

int deepPersistStep(uint8_t* address, uint64_t size, bool isPmem) { return media::medium().deepPersist(address, size, isPmem); }

Napi::Value fillAsync(const Napi::CallbackInfo& info) {
  uint64_t offset;
  uint64_t size;
  uint64_t value;
  Status fault;
  const Handle* handle = writableRange(info, &offset, &size, &fault);
  if (handle == nullptr) return faultValue(info, fault);
  if (!toSize(info.Env(), info[2], &value) || value > 255) return faultValue(info, Status::invalid);
  return Task::start(info.Env(), [mapping = handle->mapping, offset, size, value] {
    uint8_t* const address = mapping->base() + offset;
    if (mapping->isPmem()) {
      media::fill(address, static_cast<int>(value), size, true);
      return outcomeOf(*mapping);
    }
    std::memset(address, static_cast<int>(value), size);
    return outcomeOf(*mapping, media::medium().msync(address, size));
  });
}

Napi::Value crc32cAsync(const Napi::CallbackInfo& info) {
  uint64_t offset;
  uint64_t size;
  uint64_t seed;
  Status fault;
  const Handle* handle = openRange(info, &offset, &size, &fault);
  if (handle == nullptr) return faultValue(info, fault);
  if (!toSize(info.Env(), info[2], &seed) || seed > UINT32_MAX) return faultValue(info, Status::invalid);
  const auto crc = std::make_shared<uint32_t>(static_cast<uint32_t>(seed));
  return Task::start(
      info.Env(),
      [mapping = handle->mapping, offset, size, crc] {
        *crc = crc32c(*crc, mapping->base() + offset, size);
        return outcomeOf(*mapping);
      },
      [crc](Napi::Env env) { return Napi::Number::New(env, *crc); });
}

// Blocks this thread until the disk has the bytes.
Napi::Value msyncBlocking(const Napi::CallbackInfo& info) {
  uint64_t offset;
  uint64_t size;
  Status fault;
  const Handle* handle = writableRange(info, &offset, &size, &fault);
  if (handle == nullptr) return faultValue(info, fault);
  const Outcome outcome = outcomeOf(*handle->mapping, media::medium().msync(handle->base + offset, size));
  if (outcome.error == 0) return info.Env().Undefined();
  const Napi::Error error = Napi::Error::New(info.Env(), outcome.message);
  error.Set("errno", Napi::Number::New(info.Env(), outcome.error));
  throw error;
}

// From here on every call is refused and every window is empty. The promise covers this handle's reference to the mapping. Work
// in flight has references of its own; the last one to end releases the file.
Napi::Value close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Handle& handle = handleOf(info);
  if (!handle.isOpen()) return faultValue(info, Status::closed);
  handle.base = nullptr;
  for (Handle::Window& window : handle.windows) {
    if (window.buffer == nullptr) continue;
    napi_value buffer = nullptr;
    if (napi_get_reference_value(env, window.buffer, &buffer) == napi_ok && buffer != nullptr) {
      // Fails if JavaScript has already transferred the memory to another buffer. That buffer then keeps the address range.
      napi_detach_arraybuffer(env, buffer);
    }
    napi_delete_reference(env, window.buffer);
    window.buffer = nullptr;
    window.hold->mapping.reset();
  }
  handle.windows.clear();
  // On the thread pool, since removing many GiB from the page tables takes long.
  const auto last = std::make_shared<std::shared_ptr<Mapping>>(std::move(handle.mapping));
  handle.mapping.reset();
  return Task::start(env, [last] {
    last->reset();
    return Outcome{};
  });
}

}  // namespace

void defineColdFunctions(Napi::Env env, Napi::Object object, const std::shared_ptr<Handle>& handle) {
  using Callback = Napi::Value (*)(const Napi::CallbackInfo&);
  const struct {
    const char* name;
    Callback callback;
  } functions[] = {
      {"window", window},
      {"msyncAsync", onPool<syncStep>},
      {"persistAsync", onPool<persistStep>},
      {"deepPersistAsync", onPool<deepPersistStep>},
      {"fillAsync", fillAsync},
      {"crc32cAsync", crc32cAsync},
      {"msyncBlocking", msyncBlocking},
      {"close", close},
  };
  for (const auto& [name, callback] : functions) {
    const Napi::Function function = Napi::Function::New(env, callback, name, handle.get());
    function.AddFinalizer([](Napi::Env, std::shared_ptr<Handle>* share) { delete share; }, new std::shared_ptr<Handle>(handle));
    object.Set(name, function);
  }
}

}  // namespace bedrock
