/* The part of socketify.h that is about the compression of responses: what is compressed, and by which coding, the program
 * decides, which has the coders, too. Included by socketify.h, whose rules are these too. */
#ifndef SOCKETIFY_COMPRESSION_H
#define SOCKETIFY_COMPRESSION_H

#ifndef SOCKETIFY_H
#error "include socketify.h"
#endif

/* Flags of sk_plan_fn. */
#define SK_PLAN_SMALL 1      /* the content is shorter than what is worth it */
#define SK_PLAN_BODILESS 2   /* no content follows, and no coder is needed: HEAD, and 304 */
#define SK_PLAN_WEAK_MATCH 4 /* the request is conditional, and has a weak tag */

/* What a coder does with a piece of content. */
enum {
  SK_CODE_MORE,  /* more follows at once */
  SK_CODE_FLUSH, /* the client gets all of it */
  SK_CODE_END,   /* it is the last one */
  SK_CODE_DROP   /* there is none: nobody waits for it any more */
};

/* Asked about a response that may be compressed: `accepts` is what the request accepts, `head` that of the response. Who wants to
 * have another head gives that to sk_compression_output. Returns the receipt, and SK_PLAN_CODED more when the content is coded;
 * then a coder gets it that is known by the handle. After anything else nothing is changed. */
typedef int32_t (*sk_plan_fn)(uint32_t handle, const char *accepts, size_t accepts_length, const char *head, size_t head_length,
                              int32_t flags, int32_t receipt);
#define SK_PLAN_CODED 1
/* Gives a piece to a coder, which gives its own output to sk_compression_output. Returns the receipt; after anything else the
 * connection is cut. */
typedef int32_t (*sk_code_fn)(uint32_t coder, const char *data, size_t length, int32_t operation, int32_t receipt);

/* Compresses responses whose content has at least so many bytes, or is of unknown length. Before the first connection. */
SK_API void sk_app_compress(sk_app *app, uint64_t minimum_size, sk_plan_fn plan, sk_code_fn code);
/* Only inside of the two callbacks. SK_BUSY when there is no memory. */
SK_API int32_t sk_compression_output(const char *data, size_t length);
/* Whether this response may be compressed, which is so at first. SK_BUSY when its head was sent already. */
SK_API int32_t sk_res_compress(uint32_t handle, int32_t may_compress);

#endif
