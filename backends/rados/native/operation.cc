// The steps of operations, and their results. A step is an array: its name, then its arguments. Whatever does not fit is a TypeError.
#include <cstring>

#include "rados.h"

namespace rados {

namespace {

constexpr size_t MAX_WRITE_BYTES = size_t{64} << 20;
constexpr size_t MAX_READ_BYTES = size_t{64} << 20;

[[noreturn]] void refuse(Napi::Env env, const std::string &what) { throw Napi::TypeError::New(env, what); }

struct Bytes {
  char *data;
  size_t size;
};

Bytes bytesOf(const Napi::Value &value) {
  if (!value.IsBuffer()) refuse(value.Env(), "a step needs a Buffer");
  auto buffer = value.As<Napi::Buffer<char>>();
  static char none;
  return {buffer.Length() == 0 ? &none : buffer.Data(), buffer.Length()};
}

uint64_t countOf(const Napi::Value &value, uint64_t most = (uint64_t{1} << 53) - 1) {
  if (!value.IsNumber()) refuse(value.Env(), "a step needs a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0 && number <= static_cast<double>(most))) refuse(value.Env(), "a number of a step is out of range");
  return static_cast<uint64_t>(number);
}

std::string keyOf(const Napi::Value &value) {
  const Bytes bytes = bytesOf(value);
  return {bytes.data, bytes.size};
}

uint8_t comparisonOf(const Napi::Value &value) {
  const std::string name = textOf(value);
  if (name == "=") return LIBRADOS_CMPXATTR_OP_EQ;
  // What is given against what is stored.
  if (name == "<=") return LIBRADOS_CMPXATTR_OP_LTE;
  refuse(value.Env(), "a step compares by = or <=");
}

// Keys and values, or keys, as librados takes them.
struct Lists {
  std::vector<const char *> data;
  std::vector<size_t> sizes;
  void add(const Bytes &bytes) {
    data.push_back(bytes.data);
    sizes.push_back(bytes.size);
  }
};

Napi::Array arrayOf(const Napi::Value &value) {
  if (!value.IsArray()) refuse(value.Env(), "a step needs an array");
  return value.As<Napi::Array>();
}

Napi::Buffer<char> copied(Napi::Env env, const char *data, size_t size) {
  return Napi::Buffer<char>::Copy(env, size == 0 ? "" : data, size);
}

}  // namespace

void takeWriteSteps(Operation &operation, const Napi::Array &steps) {
  operation.write = rados_create_write_op();
  rados_write_op_t op = operation.write;
  for (uint32_t at = 0; at < steps.Length(); at++) {
    const Napi::Array step = arrayOf(steps.Get(at));
    const std::string name = textOf(step.Get(uint32_t{0}));
    if (name == "assertExists") {
      rados_write_op_assert_exists(op);
    } else if (name == "create") {
      rados_write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, nullptr);
    } else if (name == "cmpxattr") {
      const Bytes value = bytesOf(step.Get(3));
      rados_write_op_cmpxattr(op, textOf(step.Get(1)).c_str(), comparisonOf(step.Get(2)), value.data, value.size);
    } else if (name == "setxattr") {
      const Bytes value = bytesOf(step.Get(2));
      rados_write_op_setxattr(op, textOf(step.Get(1)).c_str(), value.data, value.size);
    } else if (name == "write") {
      const Bytes bytes = bytesOf(step.Get(2));
      if (bytes.size > MAX_WRITE_BYTES) refuse(step.Env(), "a write is larger than 64 MiB");
      rados_write_op_write(op, bytes.data, bytes.size, countOf(step.Get(1)));
    } else if (name == "remove") {
      rados_write_op_remove(op);
    } else if (name == "omapCompare") {
      const Bytes key = bytesOf(step.Get(1));
      const Bytes value = bytesOf(step.Get(2));
      rados_write_op_omap_cmp2(op, key.data, LIBRADOS_CMPXATTR_OP_EQ, value.data, key.size, value.size, nullptr);
    } else if (name == "omapSet") {
      const Napi::Array pairs = arrayOf(step.Get(1));
      Lists keys, values;
      for (uint32_t pair = 0; pair + 1 < pairs.Length(); pair += 2) {
        keys.add(bytesOf(pairs.Get(pair)));
        values.add(bytesOf(pairs.Get(pair + 1)));
      }
      rados_write_op_omap_set2(op, keys.data.data(), values.data.data(), keys.sizes.data(), values.sizes.data(),
                               keys.data.size());
    } else if (name == "omapRemoveRange") {
      const Bytes first = bytesOf(step.Get(1));
      const Bytes behind = bytesOf(step.Get(2));
      rados_write_op_omap_rm_range2(op, first.data, first.size, behind.data, behind.size);
    } else if (name == "omapRemove") {
      const Napi::Array names = arrayOf(step.Get(1));
      Lists keys;
      for (uint32_t key = 0; key < names.Length(); key++) keys.add(bytesOf(names.Get(key)));
      rados_write_op_omap_rm_keys2(op, keys.data.data(), keys.sizes.data(), keys.data.size());
    } else {
      refuse(steps.Env(), "unknown step of a write: " + name);
    }
  }
}

void takeReadSteps(Operation &operation, const Napi::Array &steps) {
  operation.read = rados_create_read_op();
  operation.steps.resize(steps.Length());
  rados_read_op_t op = operation.read;
  using Kind = Operation::Step::Kind;
  for (uint32_t at = 0; at < steps.Length(); at++) {
    const Napi::Array step = arrayOf(steps.Get(at));
    const std::string name = textOf(step.Get(uint32_t{0}));
    Operation::Step &state = operation.steps[at];
    if (name == "assertExists") {
      rados_read_op_assert_exists(op);
    } else if (name == "cmpxattr") {
      const Bytes value = bytesOf(step.Get(3));
      rados_read_op_cmpxattr(op, textOf(step.Get(1)).c_str(), comparisonOf(step.Get(2)), value.data, value.size);
    } else if (name == "read") {
      const Bytes into = bytesOf(step.Get(2));
      if (into.size > MAX_READ_BYTES) refuse(step.Env(), "a read is larger than 64 MiB");
      operation.buffers.push_back(Napi::Persistent(step.Get(2).As<Napi::Object>()));
      state.kind = Kind::Read;
      rados_read_op_read(op, countOf(step.Get(1)), into.size, into.data, &state.bytes, &state.status);
    } else if (name == "xattrs") {
      state.kind = Kind::Xattrs;
      rados_read_op_getxattrs(op, &state.xattrs, &state.status);
    } else if (name == "omapGet") {
      const Napi::Array names = arrayOf(step.Get(1));
      Lists keys;
      for (uint32_t key = 0; key < names.Length(); key++) keys.add(bytesOf(names.Get(key)));
      state.kind = Kind::Pairs;
      rados_read_op_omap_get_vals_by_keys2(op, keys.data.data(), keys.data.size(), keys.sizes.data(), &state.omap,
                                           &state.status);
    } else if (name == "omapPage") {
      state.kind = Kind::Pairs;
      // As texts: keys here have no zero bytes.
      rados_read_op_omap_get_vals2(op, keyOf(step.Get(1)).c_str(), keyOf(step.Get(2)).c_str(), countOf(step.Get(3)),
                                   &state.omap, &state.more, &state.status);
    } else {
      refuse(steps.Env(), "unknown step of a read: " + name);
    }
  }
}

Operation::~Operation() {
  for (Step &step : steps) {
    if (step.xattrs != nullptr) rados_getxattrs_end(step.xattrs);
    if (step.omap != nullptr) rados_omap_get_end(step.omap);
  }
  if (write != nullptr) rados_release_write_op(write);
  if (read != nullptr) rados_release_read_op(read);
  if (completion != nullptr) rados_aio_release(completion);
}

// For each step: the number of bytes read, the attributes, or keys and values one after another.
Napi::Value Operation::result(Napi::Env env) {
  if (read == nullptr || status < 0) return env.Undefined();
  Napi::Array results = Napi::Array::New(env, steps.size());
  for (uint32_t at = 0; at < steps.size(); at++) {
    Step &step = steps[at];
    switch (step.kind) {
      case Step::Kind::None:
        break;
      case Step::Kind::Read:
        results.Set(at, Napi::Number::New(env, static_cast<double>(step.bytes)));
        break;
      case Step::Kind::Xattrs: {
        Napi::Object found = Napi::Object::New(env);
        const char *name = nullptr;
        const char *value = nullptr;
        size_t size = 0;
        while (step.xattrs != nullptr && rados_getxattrs_next(step.xattrs, &name, &value, &size) == 0 && name != nullptr)
          found.Set(name, copied(env, value, size));
        results.Set(at, found);
        break;
      }
      case Step::Kind::Pairs: {
        Napi::Object found = Napi::Object::New(env);
        Napi::Array pairs = Napi::Array::New(env);
        char *key = nullptr;
        char *value = nullptr;
        size_t keySize = 0;
        size_t size = 0;
        uint32_t count = 0;
        while (step.omap != nullptr && rados_omap_get_next2(step.omap, &key, &value, &keySize, &size) == 0 && key != nullptr) {
          pairs.Set(count++, copied(env, key, keySize));
          pairs.Set(count++, copied(env, value, size));
        }
        found.Set("pairs", pairs);
        found.Set("more", Napi::Boolean::New(env, step.more != 0));
        results.Set(at, found);
        break;
      }
    }
  }
  return results;
}

}  // namespace rados
