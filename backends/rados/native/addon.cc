// The addon's classes: Cluster, and Io for one pool and namespace.
#include <cstring>

#include "rados.h"

namespace rados {

Napi::Error errorOf(Napi::Env env, int status, const std::string &what) {
  Napi::Error error = Napi::Error::New(env, what + ": " + std::strerror(-status));
  error.Set("errno", Napi::Number::New(env, status));
  return error;
}

std::string textOf(const Napi::Value &value) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), "a string is needed");
  return value.As<Napi::String>().Utf8Value();
}

namespace {

class Later : public Napi::AsyncWorker {
 public:
  Later(Napi::Env env, const char *what, std::function<int()> work, std::function<Napi::Value(Napi::Env)> done)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        what_(what),
        work_(std::move(work)),
        done_(std::move(done)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { status_ = work_(); }
  void OnOK() override {
    const Napi::HandleScope scope(Env());
    if (status_ < 0) {
      deferred_.Reject(errorOf(Env(), status_, what_).Value());
      return;
    }
    try {
      deferred_.Resolve(done_(Env()));
    } catch (const Napi::Error &error) {
      deferred_.Reject(error.Value());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::string what_;
  std::function<int()> work_;
  std::function<Napi::Value(Napi::Env)> done_;
  int status_ = 0;
};

Napi::Value nothing(Napi::Env env) { return env.Undefined(); }

}  // namespace

Napi::Value later(Napi::Env env, const char *what, std::function<int()> work,
                  std::function<Napi::Value(Napi::Env)> done) {
  auto *worker = new Later(env, what, std::move(work), std::move(done));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

// ---- Cluster ----

Napi::Function Cluster::define(Napi::Env env) {
  return DefineClass(env, "Cluster",
                     {InstanceMethod<&Cluster::connect>("connect"), InstanceMethod<&Cluster::command>("command"),
                      InstanceMethod<&Cluster::open>("open"), InstanceMethod<&Cluster::close>("close")});
}

// new Cluster(deliver)
Cluster::Cluster(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Cluster>(info) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "a function is needed");
  connection_ = Connection::make(info.Env(), info[0].As<Napi::Function>());
}

// connect(client, conf, options): the options in pairs, name and value
Napi::Value Cluster::connect(const Napi::CallbackInfo &info) {
  const std::string client = textOf(info[0]);
  const std::string conf = textOf(info[1]);
  std::vector<std::string> options;
  const Napi::Array pairs = info[2].As<Napi::Array>();
  for (uint32_t at = 0; at < pairs.Length(); at++) options.push_back(textOf(pairs.Get(at)));
  const std::shared_ptr<Connection> connection = connection_;
  if (connection->isReleased || connection->cluster != nullptr) throw errorOf(info.Env(), -EISCONN, "connect");
  auto made = std::make_shared<rados_t>(nullptr);
  return later(
      info.Env(), "connect",
      [=] {
        rados_t cluster = nullptr;
        int status = rados_create2(&cluster, "ceph", client.c_str(), 0);
        if (status < 0) return status;
        status = rados_conf_read_file(cluster, conf.c_str());
        for (size_t at = 0; status >= 0 && at + 1 < options.size(); at += 2)
          status = rados_conf_set(cluster, options[at].c_str(), options[at + 1].c_str());
        if (status >= 0) status = rados_connect(cluster);
        if (status >= 0)
          *made = cluster;
        else
          rados_shutdown(cluster);
        return status;
      },
      [=](Napi::Env env) {
        connection->cluster = *made;
        return nothing(env);
      });
}

// command(json): {status, output, text} of a command to the monitors
Napi::Value Cluster::command(const Napi::CallbackInfo &info) {
  const std::string command = textOf(info[0]);
  const std::shared_ptr<Connection> connection = connection_;
  rados_t cluster = connection->cluster;
  if (cluster == nullptr) throw errorOf(info.Env(), -ENOTCONN, "command");
  struct Answer {
    int status = 0;
    std::string output, text;
  };
  auto answer = std::make_shared<Answer>();
  return later(
      info.Env(), "command",
      [=] {
        const char *lines[] = {command.c_str()};
        char *output = nullptr;
        char *text = nullptr;
        size_t outputSize = 0;
        size_t textSize = 0;
        answer->status = rados_mon_command(cluster, lines, 1, "", 0, &output, &outputSize, &text, &textSize);
        if (output != nullptr) answer->output.assign(output, outputSize);
        if (text != nullptr) answer->text.assign(text, textSize);
        rados_buffer_free(output);
        rados_buffer_free(text);
        return 0;
      },
      [=](Napi::Env env) -> Napi::Value {
        Napi::Object found = Napi::Object::New(env);
        found.Set("status", answer->status);
        found.Set("output", answer->output);
        found.Set("text", answer->text);
        return found;
      });
}

// open(pool, namespace): an Io
Napi::Value Cluster::open(const Napi::CallbackInfo &info) {
  const std::string pool = textOf(info[0]);
  const std::string space = textOf(info[1]);
  const std::shared_ptr<Connection> connection = connection_;
  rados_t cluster = connection->cluster;
  if (cluster == nullptr) throw errorOf(info.Env(), -ENOTCONN, "open");
  auto made = std::make_shared<rados_ioctx_t>(nullptr);
  return later(
      info.Env(), "open",
      [=] {
        const int status = rados_ioctx_create(cluster, pool.c_str(), made.get());
        if (status >= 0) rados_ioctx_set_namespace(*made, space.c_str());
        return status;
      },
      [=](Napi::Env env) -> Napi::Value {
        const Napi::Object io = env.GetInstanceData<Instance>()->io.New({});
        Io::Unwrap(io)->pool = std::make_shared<Pool>(connection, *made);
        return io;
      });
}

// close(): shuts the connection down. Every Io is closed, and no call is in flight.
Napi::Value Cluster::close(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Connection> connection = connection_;
  if (connection->inFlight > 0) throw errorOf(info.Env(), -EBUSY, "close");
  rados_t cluster = connection->cluster;
  connection->cluster = nullptr;
  return later(
      info.Env(), "close",
      [=] {
        if (cluster != nullptr) rados_shutdown(cluster);
        return 0;
      },
      [=](Napi::Env env) {
        connection->release();
        return nothing(env);
      });
}

// ---- Io ----

Napi::Function Io::define(Napi::Env env) {
  return DefineClass(env, "Io",
                     {InstanceMethod<&Io::write>("write"), InstanceMethod<&Io::read>("read"),
                      InstanceMethod<&Io::list>("list"), InstanceMethod<&Io::close>("close")});
}

Io::Io(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Io>(info) {}

namespace {

// (number, object, steps): the result is delivered under that number
void beginOperation(const Napi::CallbackInfo &info, const std::shared_ptr<Pool> &pool,
                    void (*take)(Operation &, const Napi::Array &)) {
  const Napi::Env env = info.Env();
  if (pool == nullptr || pool->connection->cluster == nullptr) throw errorOf(env, -ENOTCONN, "the pool is closed");
  if (!info[0].IsNumber() || !info[2].IsArray()) throw Napi::TypeError::New(env, "a number, an object and steps are needed");
  auto operation = std::make_unique<Operation>();
  operation->number = info[0].As<Napi::Number>().DoubleValue();
  operation->pool = pool;
  const std::string object = textOf(info[1]);
  take(*operation, info[2].As<Napi::Array>());
  pool->connection->begin(std::move(operation), object);
}

}  // namespace

Napi::Value Io::write(const Napi::CallbackInfo &info) {
  beginOperation(info, pool, takeWriteSteps);
  return info.Env().Undefined();
}

Napi::Value Io::read(const Napi::CallbackInfo &info) {
  beginOperation(info, pool, takeReadSteps);
  return info.Env().Undefined();
}

namespace {

// A position in the list of objects.
struct Position {
  explicit Position(rados_object_list_cursor at) : cursor(at) {}
  // The pool is not needed to free one.
  ~Position() { rados_object_list_cursor_free(nullptr, cursor); }
  rados_object_list_cursor cursor;
};

}  // namespace

// list(limit, position): {names, next}; `next` is there if there is more
Napi::Value Io::list(const Napi::CallbackInfo &info) {
  const std::shared_ptr<Pool> used = pool;
  if (used == nullptr || used->connection->cluster == nullptr) throw errorOf(info.Env(), -ENOTCONN, "list");
  const size_t limit = info[0].As<Napi::Number>().Uint32Value();
  std::shared_ptr<Position> from;
  if (info[1].IsExternal()) from = *info[1].As<Napi::External<std::shared_ptr<Position>>>().Data();
  struct Page {
    std::vector<std::string> names;
    std::shared_ptr<Position> next;
  };
  auto page = std::make_shared<Page>();
  return later(
      info.Env(), "list",
      [=] {
        const Position first(rados_object_list_begin(used->io));
        const Position last(rados_object_list_end(used->io));
        std::vector<rados_object_list_item> items(limit);
        // Replaced, or set to another one, depending on the version.
        rados_object_list_cursor next = rados_object_list_begin(used->io);
        const int found = rados_object_list(used->io, from == nullptr ? first.cursor : from->cursor, last.cursor, limit,
                                            nullptr, 0, items.data(), &next);
        if (found < 0) return found;
        for (int at = 0; at < found; at++) page->names.emplace_back(items[at].oid, items[at].oid_length);
        rados_object_list_free(found, items.data());
        page->next = std::make_shared<Position>(next);
        if (rados_object_list_is_end(used->io, next) != 0) page->next.reset();
        return 0;
      },
      [=](Napi::Env env) -> Napi::Value {
        Napi::Object found = Napi::Object::New(env);
        Napi::Array names = Napi::Array::New(env, page->names.size());
        for (uint32_t at = 0; at < page->names.size(); at++) names.Set(at, page->names[at]);
        found.Set("names", names);
        if (page->next != nullptr)
          found.Set("next", Napi::External<std::shared_ptr<Position>>::New(
                                env, new std::shared_ptr<Position>(page->next),
                                [](Napi::Env, std::shared_ptr<Position> *position) { delete position; }));
        return found;
      });
}

Napi::Value Io::close(const Napi::CallbackInfo &info) {
  pool.reset();
  return info.Env().Undefined();
}

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto *instance = new Instance();
  const Napi::Function io = Io::define(env);
  instance->io = Napi::Persistent(io);
  env.SetInstanceData(instance);
  exports.Set("Cluster", Cluster::define(env));
  int major = 0;
  int minor = 0;
  int extra = 0;
  rados_version(&major, &minor, &extra);
  exports.Set("version", std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(extra));
  return exports;
}

}  // namespace

NODE_API_MODULE(bedrock_rados, initialise)

}  // namespace rados
