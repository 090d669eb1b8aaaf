/* WSGI (PEP 3333) without Python between the connection and the application, for what most requests and responses are. */
#ifndef SK_CPYTHON_WSGI_H
#define SK_CPYTHON_WSGI_H

#include "cpython/wsgi_environ.h"
#include "cpython/wsgi_response.h"
#include "http/handler.h"

namespace sk {

class Wsgi final : public Handler {
public:
  explicit Wsgi(const sk_wsgi_options &options);
  ~Wsgi() override;

  bool ready() const { return environs.ready(); }
  int32_t handle(uint32_t handle) override;

  bool runsWith(Object *shared) const { return running && functions.shared.get() == shared; }
  /* start_response and write of the request that runs, as the application calls them. */
  template <bool at_once> Object *startResponse(Object *const *arguments, ptrdiff_t count, Object *keywords);
  Object *write(Object *const *arguments, ptrdiff_t count, Object *keywords);

private:
  /* What an application gets: two functions that share a list, which holds what Python takes over with. */
  struct Functions {
    Ref shared, start, write;
  };
  /* A request whose application is called. */
  struct Request {
    WsgiResponse response;
    Object *environ;
    /* wsgi.input, where there is a body. */
    Ref input;
    /* Python completes it. */
    bool passed_on = false;
  };
  /* Why no more blocks are sent here. */
  enum class Stop { End, Enough, GoOn, Full, Turn, Error };

  template <bool at_once> void serve(uint32_t handle, bool is_head_request, Ref environ, Ref input);
  template <bool at_once> bool makeFunctions();
  template <bool at_once> bool areAlone() const;
  template <bool at_once> bool isTaken() const;
  bool isTaken() const;
  template <bool at_once> void answer();
  template <bool at_once> bool sendWhole(Object *result);
  bool isStream(Object *result);
  void stream(Ref result);
  Stop pump(Object *blocks, Ref &block);
  void close(Ref result);
  void closeInput();
  bool takeOver(int32_t state);
  template <typename... Arguments> void passTo(Object *callback, Arguments... arguments);
  void passError();
  Object *passOn(ptrdiff_t item, Object *const *arguments, ptrdiff_t count, Object *keywords);
  void fail(uint32_t handle);

  sk_wsgi_options options;
  Environs environs;
  GivenHeads heads;
  Functions functions;
  Request *running = nullptr;
};

} // namespace sk
#endif
