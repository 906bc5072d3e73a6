// mapFile(path, size, flags, mode): maps on the thread pool, since allocating a file may take seconds.
#include "addon.h"
#include "task.h"

namespace bedrock {

namespace {

Outcome map(const std::string& path, size_t size, int flags, mode_t mode, std::shared_ptr<Mapping>* mapping) {
  const media::MapResult result = media::mapFile(path.c_str(), size, flags, mode);
  if (result.base == nullptr) return {result.error, result.message};
  *mapping = std::make_shared<Mapping>(
      std::make_shared<AddressRange>(result.base, result.size, result.isRegistered), result.isPmem);
  return {};
}

Napi::Value describe(Napi::Env env, const std::shared_ptr<Mapping>& mapping) {
  const auto handle = std::make_shared<Handle>(env, mapping);
  const Napi::Object object = Napi::Object::New(env);
  object.Set("size", Napi::Number::New(env, static_cast<double>(handle->size)));
  object.Set("isPmem", Napi::Boolean::New(env, handle->isPmem));
  object.Set("isForced", Napi::Boolean::New(env, media::isForced()));
  napi_value slots = nullptr;
  if (makeSlots(env, handle, &slots) != napi_ok) throw Napi::Error::New(env);
  object.Set("slots", Napi::Value(env, slots));
  if (defineHotFunctions(env, object, handle) != napi_ok) throw Napi::Error::New(env);
  defineColdFunctions(env, object, handle);
  return object;
}

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) throw Napi::TypeError::New(info.Env(), "a path is expected");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const uint64_t size = sizeArgument(info, 1);
  const int flags = static_cast<int>(sizeArgument(info, 2) & 15);
  const auto mode = static_cast<mode_t>(sizeArgument(info, 3) & 07777);
  // Written by the pool's thread before the reply reads it.
  const auto mapping = std::make_shared<std::shared_ptr<Mapping>>();
  return Task::start(
      info.Env(), [=] { return map(path, size, flags, mode, mapping.get()); },
      [=](Napi::Env env) { return describe(env, *mapping); });
}

}  // namespace

void exportMapping(Napi::Env env, Napi::Object exports) {
  exports.Set("mapFile", Napi::Function::New(env, mapFile, "mapFile"));
}

}  // namespace bedrock
