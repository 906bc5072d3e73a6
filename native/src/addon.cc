// The addon's exports. native/binding.ts describes them; only native/ calls them.
//
// Several threads of a process may load it at once. So everything outside a Handle is constant, or locked (mapping.cc).
#include "addon.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  // Before any call: from here on its functions are called without a look.
  bedrock::libpmem::load();
  bedrock::exportMapping(env, exports);
  bedrock::exportFile(env, exports);
  bedrock::exportPlatform(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(bedrock_native, initialize)
