// What the files of the addon share.
//
// An operation begins on the event loop and ends on a thread of librados. That thread only notes that it has ended. One thread-safe
// function, called once for all that has ended by then, hands the results to JavaScript. No thread waits for an operation.
//
// Memory: buffers that a read fills are referenced until the operation has ended. What a write is given is copied by librados. If the
// environment is torn down with operations in flight, they are cancelled and waited for: nothing is written to memory that is gone.
#pragma once

#include <napi.h>
#include <rados/librados.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

namespace rados {

class Connection;

// A pool and a namespace in it, for as long as anything uses it.
struct Pool {
  Pool(std::shared_ptr<Connection> owner, rados_ioctx_t opened) : connection(std::move(owner)), io(opened) {}
  ~Pool();
  std::shared_ptr<Connection> connection;
  rados_ioctx_t io;
};

// One operation in flight.
struct Operation {
  struct Step {
    enum class Kind { None, Read, Xattrs, Pairs } kind = Kind::None;
    int status = 0;
    size_t bytes = 0;
    rados_xattrs_iter_t xattrs = nullptr;
    rados_omap_iter_t omap = nullptr;
    unsigned char more = 0;
  };

  ~Operation();
  // One entry for each step of a read.
  Napi::Value result(Napi::Env env);

  std::shared_ptr<Pool> pool;
  double number = 0;
  int status = 0;
  rados_completion_t completion = nullptr;
  rados_write_op_t write = nullptr;
  rados_read_op_t read = nullptr;
  // Their addresses are given to librados: there are as many as there will be from the start.
  std::vector<Step> steps;
  std::vector<Napi::ObjectReference> buffers;
};

// A client of a cluster. Used on the event loop, except for `onEnd`.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `deliver` is called with an array: number, status and result of each operation that has ended.
  static std::shared_ptr<Connection> make(Napi::Env env, Napi::Function deliver);

  // Begins an operation, or throws.
  void begin(std::unique_ptr<Operation> operation, const std::string &object);
  // Releases what belongs to the event loop. Nothing is in flight, and nothing will be.
  void release();

  rados_t cluster = nullptr;
  size_t inFlight = 0;
  bool isReleased = false;

 private:
  explicit Connection(Napi::Env env) : env_(env) {}
  static void onEnd(rados_completion_t completion, void *operation);
  static void onTearDown(void *connection);
  void deliver(Napi::Env env, Napi::Function callback);

  Napi::Env env_;
  Napi::ThreadSafeFunction signal_;
  // Keeps itself until it is released: librados calls it.
  std::shared_ptr<Connection> self_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::vector<Operation *> ended_;
  std::unordered_set<Operation *> running_;
  bool isSignalled_ = false;
  bool isGone_ = false;
};

class Io : public Napi::ObjectWrap<Io> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Io(const Napi::CallbackInfo &info);
  std::shared_ptr<Pool> pool;

 private:
  Napi::Value write(const Napi::CallbackInfo &info);
  Napi::Value read(const Napi::CallbackInfo &info);
  Napi::Value list(const Napi::CallbackInfo &info);
  Napi::Value close(const Napi::CallbackInfo &info);
};

class Cluster : public Napi::ObjectWrap<Cluster> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Cluster(const Napi::CallbackInfo &info);

 private:
  Napi::Value connect(const Napi::CallbackInfo &info);
  Napi::Value command(const Napi::CallbackInfo &info);
  Napi::Value open(const Napi::CallbackInfo &info);
  Napi::Value close(const Napi::CallbackInfo &info);
  std::shared_ptr<Connection> connection_;
};

// Runs a call that may block on a thread of the pool. Its promise has what `done` makes, or an error of the status of `work`.
Napi::Value later(Napi::Env env, const char *what, std::function<int()> work, std::function<Napi::Value(Napi::Env)> done);

// An error with the status of librados, negative, as `errno`.
Napi::Error errorOf(Napi::Env env, int status, const std::string &what);
std::string textOf(const Napi::Value &value);

// The steps of a write or a read, an array of arrays.
void takeWriteSteps(Operation &operation, const Napi::Array &steps);
void takeReadSteps(Operation &operation, const Napi::Array &steps);

struct Instance {
  Napi::FunctionReference io;
};

}  // namespace rados
