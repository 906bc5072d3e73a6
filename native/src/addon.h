// The functions that each file adds to the addon's exports.
#pragma once

#include "handle.h"

#include <napi.h>

namespace bedrock {

void exportMapping(Napi::Env env, Napi::Object exports);
void exportFile(Napi::Env env, Napi::Object exports);
void exportPlatform(Napi::Env env, Napi::Object exports);

// The functions of a mapping that need not be fast, or take long.
void defineColdFunctions(Napi::Env env, Napi::Object object, const std::shared_ptr<Handle>& handle);

// Argument `index` as a whole number from 0 to 2^53 - 1. @throws TypeError, though TypeScript has checked it before
inline uint64_t sizeArgument(const Napi::CallbackInfo& info, size_t index) {
  uint64_t size = 0;
  if (!toSize(info.Env(), info[index], &size)) {
    throw Napi::TypeError::New(info.Env(), "a whole number from 0 to 2^53 - 1 is expected");
  }
  return size;
}

}  // namespace bedrock
