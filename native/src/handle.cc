// How JavaScript functions hold a handle.
#include "handle.h"

namespace bedrock {

Handle::~Handle() {
  for (const Window& window : windows) {
    if (window.buffer != nullptr) napi_delete_reference(env, window.buffer);
  }
}

napi_status makeSlots(napi_env env, const std::shared_ptr<Handle>& handle, napi_value* buffer) {
  auto* const share = new std::shared_ptr<Handle>(handle);
  // As with windows, a failure may leak the share, but never frees it twice.
  return napi_create_external_arraybuffer(
      env, handle->slots, sizeof(Slots::numbers),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Handle>*>(hint); }, share, buffer);
}

napi_status defineHandleFunction(napi_env env, napi_value object, const char* name, napi_callback callback,
                                 const std::shared_ptr<Handle>& handle) {
  napi_value function;
  napi_status status = napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, handle.get(), &function);
  if (status != napi_ok) return status;
  auto* const share = new std::shared_ptr<Handle>(handle);
  status = napi_add_finalizer(
      env, function, share, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Handle>*>(data); }, nullptr,
      nullptr);
  if (status != napi_ok) {
    delete share;
    return status;
  }
  return napi_set_named_property(env, object, name, function);
}

}  // namespace bedrock
