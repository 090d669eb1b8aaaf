/* What the shim needs of the socket layer beyond the engine's libusockets.h. */
#ifndef USOCKETS_EXT_H
#define USOCKETS_EXT_H

#include "libusockets.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The loop's descriptor: readable when us_loop_pump has something to do. */
int us_loop_fd(struct us_loop_t *loop);
/* One turn without waiting. -1 when called from inside a turn. */
int us_loop_pump(struct us_loop_t *loop);
/* In the child of a fork: lets go of a loop that is the parent's. */
void us_loop_forget(struct us_loop_t *loop);

/* From now on, who drives this loop waits by us_loop_wait, also for `fd`: the descriptor of another loop of the same thread, which
 * must not watch us_loop_fd meanwhile. -1 when the kernel refuses. */
int us_loop_lead(struct us_loop_t *loop, int fd);
/* It waits by us_loop_fd again. */
void us_loop_follow(struct us_loop_t *loop);
/* Whether it waits by us_loop_wait. */
int us_loop_leads(const struct us_loop_t *loop);
#define US_OWN_EVENTS 1     /* for us_loop_pump */
#define US_PARTNER_EVENTS 2 /* for the other loop */
/* Waits so many milliseconds at most, -1 for ever, or until a signal comes. Calls nothing back. */
int us_loop_wait(struct us_loop_t *loop, int timeout_ms);

/* What watches descriptors: SOCKETIFY_BACKEND of the environment names one. */
#define US_BACKEND_EPOLL 0
#define US_BACKEND_IO_URING 1
#define US_BACKEND_KQUEUE 2
#define US_BACKEND_UNKNOWN (-1)     /* the name is none that this system has */
#define US_BACKEND_UNAVAILABLE (-2) /* the named one is refused by the kernel */
/* What us_create_loop will take, or why it will return NULL. */
int us_backend(void);
/* Why the kernel refuses io_uring, as an errno; 0 when it does not. */
int us_backend_refusal(void);
int us_loop_backend(struct us_loop_t *loop);

/* Why the last listen on this context failed: an errno, or a negative EAI_* code; 0 when it did not. */
int us_socket_context_listen_error(struct us_socket_context_t *context);
/* Adopts a duplicate of a descriptor that listens already. `shared` when other processes may accept from it, too. */
struct us_listen_socket_t *us_socket_context_listen_fd(int ssl, struct us_socket_context_t *context, int fd, int shared,
                                                       int socket_ext_size);
/* Of listeners opened from now on; 2048 at first. */
void us_socket_context_set_backlog(struct us_socket_context_t *context, int backlog);
/* Accepting pauses while this many accepted sockets are open; 0 for no limit. */
void us_socket_context_set_max_sockets(struct us_socket_context_t *context, unsigned int max);
/* Called when clients wait and are not accepted, at each attempt while it is so: `reason` is 0 at the limit of sockets, else an
 * errno; `waiting` is how many, -1 where the system only says that somebody does. */
void us_socket_context_on_waiting(struct us_socket_context_t *context, void (*callback)(void *user, int reason, int waiting),
                                  void *user);
void us_socket_context_close_listeners(struct us_socket_context_t *context);
/* Accepts all that wait, as far as there is room, before the listeners are closed: they would be refused. `shared` also where other
 * processes accept, too. */
void us_socket_context_accept_waiting(struct us_socket_context_t *context, int shared);
/* How many are open, those that shake hands among them. */
unsigned int us_socket_context_count(struct us_socket_context_t *context);
/* Calls back for every open socket; the callback may close any. */
void us_socket_context_for_each(struct us_socket_context_t *context, void (*visit)(struct us_socket_t *, void *user), void *user);

/* Whole seconds until the socket's time-out, 0 when none runs. */
unsigned int us_socket_timeout_left(struct us_socket_t *s);
/* Whether it will receive what its peer has sent already. */
int us_socket_has_input(const struct us_socket_t *s);
/* Stops and continues reading, without touching what is known of writing. */
void us_socket_pause(struct us_socket_t *s);
void us_socket_resume(struct us_socket_t *s);
/* Whether the peer has ended its half, and everything before that was received. */
int us_socket_ended(struct us_socket_t *s);
/* Called when the peer has ended its half while the socket is paused, behind what was not received yet. */
void us_socket_context_on_half_closed(struct us_socket_context_t *context, void (*callback)(struct us_socket_t *s));
/* Has the kernel ask the peer after so many seconds without a packet, and so often, whether it is there (RFC 9293 section 3.8.4).
 */
void us_socket_keep_alive(struct us_socket_t *s, unsigned int idle, unsigned int interval, unsigned int probes);
/* When the socket is closed after a shutdown, what the peer sends still is discarded for a while, whether or not something has
 * arrived yet. */
void us_socket_linger(struct us_socket_t *s);
/* Whether it has no descriptor of its own: another socket carries it, whose descriptor it seems to have. */
int us_socket_is_carried(const struct us_socket_t *s);
/* A word that stays with the connection, also when it is adopted; 0 at first. */
unsigned int us_socket_tag(struct us_socket_t *s);
void us_socket_set_tag(struct us_socket_t *s, unsigned int tag);
/* Calls on_data once more, with no bytes, at the end of this turn or in the next one. */
void us_socket_schedule_data(struct us_socket_t *s);

/* us_socket_write and us_socket_write2 of any length: how many bytes were taken. `more`: further ones follow at once. */
size_t us_socket_send(struct us_socket_t *s, const char *data, size_t length, int more);
size_t us_socket_send2(struct us_socket_t *s, const char *header, size_t header_length, const char *payload, size_t payload_length);
/* Neither sends nor receives any more, and is closed by the loop. */
void us_socket_cut(struct us_socket_t *s);

/* Hands to the kernel what a turn has collected. Whether something waits all the same: then nobody else may write. */
int us_socket_owes(struct us_socket_t *s);

/* What was written is all: it leaves before the caller goes on, where that costs no further system call. */
void us_socket_hurry(struct us_socket_t *s);

/* Asks for the writable event without a write that failed. */
void us_socket_await_writable(struct us_socket_t *s);

/* Port of the peer, or -1 where there is none. */
int us_socket_remote_port(struct us_socket_t *s);
/* Like us_socket_remote_address for our own end. */
void us_socket_local_address(struct us_socket_t *s, char *buf, int *length);

/* ---- TLS: decided by the context; the `ssl` arguments of the engine's functions stay 0 ---- */

/* What TLS may agree on; at first HTTP/1.1 only. */
void us_socket_context_set_protocols(struct us_socket_context_t *context, int http_1_1, int http_2);

/* Files hold PEM. NULL for what is not given. */
struct us_tls_options {
  /* Paths one behind the other, each ended by NUL, and an empty one at last; as many keys as certificates, of different kinds. */
  const char *key_files;
  const char *cert_files;
  const char *passphrase;
  const char *dh_params_file;
  const char *ca_file;
  /* What those who signed certificates of clients have revoked. */
  const char *crl_file;
  /* Of TLS 1.2; empty for TLS 1.3 only. */
  const char *ciphers;
  /* Of TLS 1.3. */
  const char *ciphersuites;
  /* 0 is not asked for, 1 is checked if there is one, 2 must be there. */
  int client_certificate;
  /* As records say them, 0x0303 for TLS 1.2; 0 for what is usual. */
  int minimum_version;
  int maximum_version;
  int low_memory;
  /* 0 for no limit. */
  unsigned int handshake_timeout_s;
};

/* Loads OpenSSL 3 from a library, or from one that it needs: 1, or 0 when there is no such library, -1 when it has no OpenSSL 3,
 * -2 when that lacks functions. An empty path means the program itself. Before anything below. */
int us_tls_load(const char *path);
/* Whether a cipher's name, or keyword, means something in TLS 1.2. */
int us_tls_knows_cipher(const char *name);
/* Makes the listeners of a context speak TLS, or changes the certificate of future connections; with a name (lower case, may
 * be "*.example.org"), of those that ask for it. Returns 0, or which part is wrong, plus 256 times the index of the
 * certificate, with OpenSSL's reason as text. */
int us_socket_context_tls(struct us_socket_context_t *context, const char *name, size_t name_length,
                          const struct us_tls_options *options, char *reason, size_t reason_size);
void us_socket_context_tls_remove_name(struct us_socket_context_t *context, const char *name, size_t name_length);
/* Asked for a name that has no certificate, which it may add. */
void us_socket_context_tls_on_missing_name(struct us_socket_context_t *context,
                                           void (*callback)(void *user, const char *name, size_t length), void *user);
/* The client's certificate as DER: its length, 0 for none. */
int us_socket_tls_peer_certificate(struct us_socket_t *s, char *out, size_t size);
/* Whether a request for a host (lower case) must not be answered on this connection, because the host has another certificate than
 * the client asked for, or asks clients for one that this client was not asked for. `configured`: the host is known otherwise. */
int us_socket_tls_misdirected(struct us_socket_t *s, const char *host, size_t length, int configured);
/* Connections begin with something before TLS: the callback gets what has arrived of it, and returns how many of these bytes are
 * that, US_PREAMBLE_MORE when it has to see more, or US_PREAMBLE_REFUSED. */
#define US_PREAMBLE_REFUSED (-1)
#define US_PREAMBLE_MORE (-2)
void us_socket_context_on_preamble(struct us_socket_context_t *context,
                                   ptrdiff_t (*callback)(void *user, const char *data, size_t length), void *user);
/* What it was, or NULL. */
const char *us_socket_preamble(struct us_socket_t *s, size_t *length);
/* Whether client and server agreed on HTTP/2 (RFC 7301). */
int us_socket_tls_speaks_http_2(const struct us_socket_t *s);
/* Whether a name ever had a certificate. */
int us_socket_context_tls_had_names(struct us_socket_context_t *context);
/* A number that no other connection of this thread ever has; 0 without TLS. */
unsigned long long us_socket_tls_number(struct us_socket_t *s);
/* What was agreed on for the connection, big-endian: version and cipher suite in 16 bits each, then blocks that begin with their
 * length in 32 bits: our certificate as DER (empty without one), and for a client with a certificate its subject (RFC 4514) and
 * then the chain as DER, its own first. Returns the length; whole blocks only are true when it did not fit. */
int us_socket_tls_facts(struct us_socket_t *s, char *out, size_t size);
unsigned long long us_socket_context_tls_failed_handshakes(struct us_socket_context_t *context);
/* Counts them there as well, from now on; the word outlives the context. */
void us_socket_context_tls_count_failures(struct us_socket_context_t *context, uint64_t *word);

#ifdef __cplusplus
}
#endif
#endif
