/* WSGI (PEP 3333) without Python between the connection and the application, for what most requests and responses are. */
#ifndef SK_CPYTHON_WSGI_H
#define SK_CPYTHON_WSGI_H

#include "cpython/wsgi_environ.h"
#include "cpython/wsgi_head.h"
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
  Object *startResponse(Object *const *arguments, ptrdiff_t count, Object *keywords);
  Object *write(Object *const *arguments, ptrdiff_t count, Object *keywords);

private:
  /* What an application gets: two functions that share a list, which holds what Python takes over with. */
  struct Functions {
    Ref shared, start, write;
  };

  bool makeFunctions();
  bool areAlone() const;
  bool isTaken() const;
  void answer(Object *environ);
  bool sendList(Object *result);
  bool takeOver(bool answered);
  Object *passOn(ptrdiff_t item, Object *const *arguments, ptrdiff_t count, Object *keywords);
  void fail(uint32_t handle);

  sk_wsgi_options options;
  Environs environs;
  GivenHeads heads;
  Functions functions;
  /* Of the request that runs. */
  uint32_t running = 0;
  Object *environ = nullptr;
  const GivenHead *head = nullptr;
};

} // namespace sk
#endif
