// Connections: operations from their beginning to the delivery of their results, and the end of all of them.
#include "rados.h"

namespace rados {

Pool::~Pool() {
  // A connection that is shut down has taken its pools with it.
  if (connection->cluster != nullptr) rados_ioctx_destroy(io);
}

std::shared_ptr<Connection> Connection::make(Napi::Env env, Napi::Function deliver) {
  std::shared_ptr<Connection> made(new Connection(env));
  made->self_ = made;
  made->signal_ = Napi::ThreadSafeFunction::New(env, deliver, "rados", 0, 1);
  // Only operations in flight keep the process from its end.
  made->signal_.Unref(env);
  // After the function was made: so it is called before that is closed.
  napi_add_env_cleanup_hook(env, onTearDown, made.get());
  return made;
}

void Connection::begin(std::unique_ptr<Operation> owned, const std::string &object) {
  Operation *operation = owned.get();
  int status = rados_aio_create_completion2(operation, &Connection::onEnd, &operation->completion);
  if (status < 0) throw errorOf(env_, status, "no completion");
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    running_.insert(operation);
  }
  rados_ioctx_t io = operation->pool->io;
  const char *name = object.c_str();
  status = operation->write != nullptr
               ? rados_aio_write_op_operate(operation->write, io, operation->completion, name, nullptr, 0)
               : rados_aio_read_op_operate(operation->read, io, operation->completion, name, 0);
  if (status < 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    running_.erase(operation);
    throw errorOf(env_, status, "the operation was refused");
  }
  // Delivery deletes it.
  (void)owned.release();
  if (inFlight++ == 0) signal_.Ref(env_);
}

// On a thread of librados.
void Connection::onEnd(rados_completion_t completion, void *argument) {
  auto *operation = static_cast<Operation *>(argument);
  operation->status = rados_aio_get_return_value(completion);
  // Outlives this call: `release` comes when the threads of librados have ended.
  Connection *self = operation->pool->connection.get();
  const std::lock_guard<std::mutex> lock(self->mutex_);
  self->running_.erase(operation);
  self->ended_.push_back(operation);
  if (!self->isSignalled_ && !self->isGone_) {
    self->isSignalled_ = true;
    self->signal_.NonBlockingCall([self](Napi::Env env, Napi::Function callback) { self->deliver(env, callback); });
  }
  if (self->running_.empty()) self->change_.notify_all();
}

void Connection::deliver(Napi::Env env, Napi::Function callback) {
  std::vector<Operation *> ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended.swap(ended_);
    isSignalled_ = false;
  }
  // Kept while the callback may drop the last of everything.
  const std::shared_ptr<Connection> self = shared_from_this();
  Napi::Array results = Napi::Array::New(env, ended.size() * 3);
  uint32_t at = 0;
  for (Operation *operation : ended) {
    results.Set(at++, operation->number);
    results.Set(at++, operation->status);
    results.Set(at++, operation->result(env));
    delete operation;
  }
  inFlight -= ended.size();
  if (inFlight == 0 && !isReleased && !ended.empty()) signal_.Unref(env);
  callback.Call({results});
}

void Connection::release() {
  if (isReleased) return;
  isReleased = true;
  napi_remove_env_cleanup_hook(env_, onTearDown, this);
  signal_.Release();
  self_.reset();
}

// The environment ends, with operations in flight perhaps.
void Connection::onTearDown(void *argument) {
  const std::shared_ptr<Connection> self = static_cast<Connection *>(argument)->self_;
  std::vector<Operation *> ended;
  {
    std::unique_lock<std::mutex> lock(self->mutex_);
    self->isGone_ = true;
    const std::vector<Operation *> running(self->running_.begin(), self->running_.end());
    for (Operation *operation : running) {
      if (self->running_.count(operation) == 0) continue;
      rados_ioctx_t io = operation->pool->io;
      rados_completion_t completion = operation->completion;
      // Not deleted meanwhile: only this thread does that.
      lock.unlock();
      rados_aio_cancel(io, completion);
      lock.lock();
    }
    // Each ends by its time-out at the latest.
    self->change_.wait(lock, [&self] { return self->running_.empty(); });
    ended.swap(self->ended_);
  }
  std::vector<std::shared_ptr<Pool>> pools;
  for (Operation *operation : ended) {
    pools.push_back(operation->pool);
    delete operation;
  }
  pools.clear();
  if (self->cluster != nullptr) rados_shutdown(self->cluster);
  self->cluster = nullptr;
  self->isReleased = true;
  self->self_.reset();
}

}  // namespace rados
