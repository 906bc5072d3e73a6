// Work on the thread pool, with a promise for its end.
//
// Work holds what it uses by shared ownership, and releases it on its own thread as soon as it is done. So nothing that
// JavaScript does meanwhile (closing, collecting, ending the worker thread) can free memory that it uses. A worker thread that
// is terminated waits for work in flight; nobody then receives the promise.
#pragma once

#include <napi.h>

#include <functional>
#include <string>
#include <utility>

namespace bedrock {

// The result of work: 0, or errno, with a message if libpmem has one of its own.
struct Outcome {
  int error = 0;
  std::string message;
};

class Task : public Napi::AsyncWorker {
 public:
  using Work = std::function<Outcome()>;
  using Reply = std::function<Napi::Value(Napi::Env)>;

  // The promise resolves to the value of `reply`, made on the JavaScript thread, or undefined. It rejects with an Error whose
  // `errno` is positive.
  static Napi::Promise start(Napi::Env env, Work work, Reply reply = nullptr) {
    // Deletes itself when it has ended.
    auto* const task = new Task(env, std::move(work), std::move(reply));
    const Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override {
    outcome_ = work_();
    work_ = nullptr;
  }

  void OnOK() override {
    const Napi::Env env = Env();
    if (outcome_.error == 0) {
      deferred_.Resolve(reply_ ? reply_(env) : env.Undefined());
      return;
    }
    const Napi::Error error = Napi::Error::New(env, outcome_.message);
    error.Set("errno", Napi::Number::New(env, outcome_.error));
    deferred_.Reject(error.Value());
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Task(Napi::Env env, Work work, Reply reply)
      : Napi::AsyncWorker(env, "bedrock_native"), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)),
        reply_(std::move(reply)) {}

  Napi::Promise::Deferred deferred_;
  Work work_;
  Reply reply_;
  Outcome outcome_;
};

}  // namespace bedrock
