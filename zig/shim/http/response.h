/* What the parts of the response writer share. */
#ifndef SK_HTTP_RESPONSE_H
#define SK_HTTP_RESPONSE_H

#include "http/head.h"

namespace sk {

/* Holds the loop's cork buffer for one socket, when nobody else does. */
class Cork {
public:
  explicit Cork(Socket *socket);
  /* Sends what was packed, if the packing began here. */
  void release();

private:
  Socket *socket;
  bool mine;
};

/* The whole output of a call goes through here: never loses bytes; what the kernel does not take waits in memory. */
void writeAll(Socket *socket, std::string_view data);

/* Counts bytes of a body for whoever observes the app. */
void countSent(const Slot &slot, uint64_t bytes);

/* Decides about the connection, writes the head. SK_OK, or SK_BAD_HEAD or SK_BAD_LENGTH and nothing is written. */
int32_t writeHead(Slot &slot, const Head &head, bool sized, uint64_t length, int32_t flags);

/* The cork that Python holds across several calls: it must be let go even when its connection dies meanwhile. */
extern thread_local Socket *user_cork;

/* What was packed while the connection's input is handled leaves before the handler goes on; not what a handler packs itself. */
void leaveNow(Slot &slot);

/* A new request of the connection: the handles of the one before are stale from now on. */
void beginRequest(Slot &slot, HttpResponse *response, uWS::HttpRequest *request);
/* The response is complete: its handle is stale from now on. */
void completeResponse(Slot &slot);
/* After the last write of a call that completed a response: the connection closes, or reads on. SK_OK or SK_BUFFERED. */
int32_t continueConnection(Slot &slot);
/* Reads the connection's held requests when enough of its output has been taken. */
void continueWhenWritable(Slot &slot);
/* Cuts the connection; what was written before is on its way. */
void cut(Slot &slot);

} // namespace sk
#endif
