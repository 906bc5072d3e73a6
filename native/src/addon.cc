// The addon's exports. native/binding.ts describes them; nobody but native/ calls them.
//
// It may be loaded by several threads of a process at once: what is not in a Handle is constant, or locked (mapping.cc).
#include "addon.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  bedrock::exportMapping(env, exports);
  bedrock::exportFile(env, exports);
  bedrock::exportPlatform(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(bedrock_native, initialize)
