/* The part of socketify.h that belongs to CPython: objects that are called, and read, without ctypes between.
 * Included by socketify.h, whose rules are these too.
 */
#ifndef SOCKETIFY_PYTHON_H
#define SOCKETIFY_PYTHON_H

#ifndef SOCKETIFY_H
#error "include socketify.h"
#endif

/* An object of CPython. */
typedef struct sk_object sk_object;

/* What is known of an object's reference count. */
enum {
  SK_COUNT_UNKNOWN, /* nothing: then members are not touched */
  SK_COUNT_FIRST,   /* an object begins with it */
  SK_COUNT_SPLIT /* an object begins with the number of the thread that made it, whose references are counted apart from others' */
};

/* What calls between CPython and the shim need of its C API: functions of the stable ABI (and PyObject_Vectorcall, or
 * PyObject_VectorcallDict, which takes keywords in another form; of contexts, PyContext_CopyCurrent, _Enter and _Exit), types, and
 * asyncio's functions that say which task runs. `iterator_send` is NULL before CPython 3.10: then what begins coroutines must not
 * be used. `section_begin`, `section_end`, `dict_get_ref`, `list_get_ref` and
 * `list_as_tuple` are NULL where the interpreter's lock keeps other threads from running. */
typedef struct sk_python {
  SK_CPYTHON(PyObject_Vectorcall, PyObject_VectorcallDict)
  const void *(*vectorcall)(const void *callable, const void *const *arguments, size_t count, const void *keywords);
  SK_CPYTHON(PyCFunction_NewEx) const void *(*new_function)(void *method, const void *self, const void *module);
  SK_CPYTHON(PyDescr_NewMethod) const void *(*new_method)(const void *type, void *method);
  SK_CPYTHON(PyType_FromSpecWithBases) const void *(*type_from_spec)(void *spec, const void *bases);
  SK_CPYTHON(PyType_GenericAlloc) const void *(*type_alloc)(const void *type, ptrdiff_t items);
  SK_CPYTHON(PyObject_GC_UnTrack) void (*gc_untrack)(const void *object);
  SK_CPYTHON(PyObject_GC_Del) void (*gc_delete)(const void *object);
  SK_CPYTHON(PyObject_GetAttrString) const void *(*get_attribute)(const void *object, const char *name);
  SK_CPYTHON(PyObject_GetItem) const void *(*get_item)(const void *object, const void *key);
  SK_CPYTHON(PyObject_GetIter) const void *(*get_iterator)(const void *object);
  SK_CPYTHON(PyIter_Next) const void *(*iterator_next)(const void *iterator);
  SK_CPYTHON(PyType_GetFlags) unsigned long (*type_flags)(const void *type);
  SK_CPYTHON(PyObject_IsTrue) int (*is_true)(const void *object);
  SK_CPYTHON(PyIter_Send) int (*iterator_send)(const void *iterator, const void *value, const void **result);
  SK_CPYTHON(Py_IncRef) void (*inc_ref)(const void *object);
  SK_CPYTHON(Py_DecRef) void (*dec_ref)(const void *object);
  SK_CPYTHON(PyLong_FromLong) const void *(*from_long)(long value);
  SK_CPYTHON(PyBool_FromLong) const void *(*from_bool)(long value);
  SK_CPYTHON(PyLong_FromUnsignedLong) const void *(*from_unsigned_long)(unsigned long value);
  SK_CPYTHON(PyBytes_FromStringAndSize) const void *(*from_bytes)(const char *data, ptrdiff_t length);
  SK_CPYTHON(PyUnicode_DecodeLatin1) const void *(*from_latin1)(const char *data, ptrdiff_t length, const char *errors);
  SK_CPYTHON(PyUnicode_DecodeUTF8) const void *(*from_utf8)(const char *data, ptrdiff_t length, const char *errors);
  SK_CPYTHON(PyUnicode_InternFromString) const void *(*intern)(const char *text);
  SK_CPYTHON(PyLong_AsLong) long (*as_long)(const void *object);
  SK_CPYTHON(PyLong_AsUnsignedLong) unsigned long (*as_unsigned_long)(const void *object);
  SK_CPYTHON(PyBytes_AsStringAndSize) int (*bytes_content)(const void *object, char **data, ptrdiff_t *length);
  SK_CPYTHON(PyUnicode_AsUTF8AndSize) const char *(*text_content)(const void *object, ptrdiff_t *length);
  SK_CPYTHON(PyUnicode_Concat) const void *(*concat)(const void *left, const void *right);
  SK_CPYTHON(PyDict_New) const void *(*new_dict)(void);
  SK_CPYTHON(PyDict_Copy) const void *(*dict_copy)(const void *dict);
  SK_CPYTHON(PyDict_GetItemWithError) const void *(*dict_get)(const void *dict, const void *key);
  SK_CPYTHON(PyDict_GetItemRef) int (*dict_get_ref)(const void *dict, const void *key, const void **result);
  SK_CPYTHON(PyDict_SetItem) int (*dict_set)(const void *dict, const void *key, const void *value);
  SK_CPYTHON(PyDict_DelItem) int (*dict_delete)(const void *dict, const void *key);
  SK_CPYTHON(PyList_New) const void *(*new_list)(ptrdiff_t length);
  SK_CPYTHON(PyList_Size) ptrdiff_t (*list_length)(const void *list);
  SK_CPYTHON(PyList_GetItem) const void *(*list_get)(const void *list, ptrdiff_t index);
  SK_CPYTHON(PyList_GetItemRef) const void *(*list_get_ref)(const void *list, ptrdiff_t index);
  SK_CPYTHON(PyList_SetItem) int (*list_set)(const void *list, ptrdiff_t index, const void *stolen);
  SK_CPYTHON(PyList_AsTuple) const void *(*list_as_tuple)(const void *list);
  SK_CPYTHON(PyTuple_New) const void *(*new_tuple)(ptrdiff_t length);
  SK_CPYTHON(PyTuple_Size) ptrdiff_t (*tuple_length)(const void *tuple);
  SK_CPYTHON(PyTuple_GetItem) const void *(*tuple_get)(const void *tuple, ptrdiff_t index);
  SK_CPYTHON(PyTuple_SetItem) int (*tuple_set)(const void *tuple, ptrdiff_t index, const void *stolen);
  SK_CPYTHON(PySet_Add) int (*set_add)(const void *set, const void *item);
  SK_CPYTHON(PySet_Discard) int (*set_discard)(const void *set, const void *item);
  SK_CPYTHON(PyContext_CopyCurrent) const void *(*context_copy_current)(void);
  SK_CPYTHON(PyContext_Enter) int (*context_enter)(const void *context);
  SK_CPYTHON(PyContext_Exit) int (*context_exit)(const void *context);
  SK_CPYTHON(PyGILState_Ensure) int (*gil_ensure)(void);
  SK_CPYTHON(PyGILState_Release) void (*gil_release)(int state);
  SK_CPYTHON(PyEval_SaveThread) void *(*save_thread)(void);
  SK_CPYTHON(PyEval_RestoreThread) void (*restore_thread)(void *state);
  SK_CPYTHON(PyErr_CheckSignals) int (*check_signals)(void);
  SK_CPYTHON(PyCriticalSection_Begin) void (*section_begin)(void *section, const void *object);
  SK_CPYTHON(PyCriticalSection_End) void (*section_end)(void *section);
  SK_CPYTHON(PyObject_Size) ptrdiff_t (*length)(const void *object);
  SK_CPYTHON(PyErr_Occurred) const void *(*error_occurred)(void);
  SK_CPYTHON(PyErr_ExceptionMatches) int (*error_matches)(const void *type);
  SK_CPYTHON(PyErr_Fetch) void (*error_fetch)(const void **type, const void **value, const void **traceback);
  SK_CPYTHON(PyErr_Restore) void (*error_restore)(const void *type, const void *value, const void *traceback);
  SK_CPYTHON(PyErr_NormalizeException) void (*error_normalize)(const void **type, const void **value, const void **traceback);
  SK_CPYTHON(PyErr_Clear) void (*error_clear)(void);
  SK_CPYTHON(PyException_SetTraceback) int (*set_traceback)(const void *exception, const void *traceback);
  SK_CPYTHON(PyErr_SetString) void (*set_error)(const void *type, const char *message);
  SK_CPYTHON(PyErr_SetNone) void (*set_error_none)(const void *type);
  SK_CPYTHON(PyErr_SetObject) void (*set_error_object)(const void *type, const void *value);
  SK_CPYTHON(PyErr_WriteUnraisable) void (*write_unraisable)(const void *object);
  const void *none;
  const void *attribute_error;
  const void *type_error;
  const void *runtime_error;
  const void *stop_iteration;
  const void *type_type;
  const void *bytes_type;
  const void *text_type;
  const void *dict_type;
  const void *list_type;
  const void *tuple_type;
  const void *coroutine_type;
  const void *generator_type;
  const void *enter_task;
  const void *leave_task;
  /* Where in an object, in words, the address of its type is. */
  size_t type_word;
  size_t object_size;            /* of an object without members, in bytes: those of the shim's own types follow it */
  int64_t function_weak;         /* where in a built-in function, in words, its weak references are */
  int32_t counting;              /* SK_COUNT_* */
  int32_t vectorcall_takes_dict; /* of keywords; else a tuple of their names, whose values come after the other arguments */
} sk_python;

/* What messages need to know of websockets in Python. Members are where they lie in an object, in words from its beginning. */
typedef struct sk_ws_python {
  const void *opcode_text;
  const void *opcode_binary;
  const void *status_buffered;
  const void *status_sent;
  const void *status_dropped;
  const void *send;         /* send(websocket, ...): every call that is not the usual one */
  const char *doc;          /* of the method; stays where it is */
  size_t session_member;    /* of a websocket: its session, unless a program put something else there, or nothing */
  const void *session_type; /* the members below are of objects whose type is this one itself */
  size_t socket_member;     /* the websocket */
  size_t handle_member;
  size_t inbox_member;  /* None unless somebody iterates */
  size_t busy_member;   /* True while a handler waits, else False */
  const void *not_busy; /* False itself */
} sk_ws_python;

/* What exchanges need to know of responses and requests in Python; members as above. */
typedef struct sk_exchange_python {
  const void *end;           /* end(response, ...): every call that is not the usual one */
  const char *end_doc;       /* of the method; stays where it is */
  const void *zero;          /* 0 itself: the handle of what has ended, and what tells that a request is not passed on */
  const void *not_dirty;     /* False itself: nothing was set that a next use must not see */
  const void *exchange_type; /* of what a response and its request have in common, whose members the following ones are */
  size_t handle;             /* of the response */
  size_t request_handle;
  size_t dirty;
  size_t passes_on;
  size_t response_exchange; /* of a response */
  size_t request_exchange;  /* of a request */
  int64_t response_weak;    /* where the weak references are, which may be before the object */
  int64_t request_weak;
} sk_exchange_python;

/* A handler in Python, and what serves it. */
typedef struct sk_exchange_handler {
  const void *handler;  /* handler(response, request) */
  const void *spare;    /* list of a response and a request that nobody uses, or twice None */
  const void *refill;   /* refill(): puts two there */
  const void *conclude; /* conclude(response, request, result, error): goes on with what the handler returned or raised, unless that
                         * is nothing and the response has ended; returns 1 to pass the request on, else 0 */
  const void *reset;    /* reset(exchange): makes what has been used like new */
  const void *fallback; /* fallback(handle): serves a request while the handler is at work on another */
} sk_exchange_handler;

/* What is raised of a request that is gone. */
#define SK_REQUEST_IS_GONE "the request is gone: call preserve() before the handler returns"

/* What a task goes through that waits, in Python; members as above. */
typedef struct sk_continuation_python {
  const void *type;  /* the class that has the members; in none but objects of the type that is made of it are they read */
  const void *idle;  /* idle(continuation): what its task waits for while nothing is given to it */
  const void *fail;  /* fail(continuation, report, error): reports; true when the task shall end with the error itself */
  const void *wake;  /* wake(continuation): lets its task go on that waits already */
  size_t coroutine;  /* what it goes on with, and keeps for its name */
  size_t context;    /* of the coroutine, until it ends */
  size_t yielded;    /* what the coroutine waits for that was begun elsewhere */
  size_t is_pending; /* True until the task was handed that, then False */
  size_t report;     /* what `fail` gets */
  size_t finish;     /* called when the coroutine returned, or None */
  size_t running;    /* the set that it is in from then on, until the coroutine ends */
  size_t task;       /* its task, until then */
  size_t waker;      /* what its task waits for already, if it does */
  size_t runner;     /* SK_RUNNER_ITSELF of who made it */
} sk_continuation_python;

/* The loop of libuv that runs in this thread, and functions of libuv by address: the same library that the loop is of. */
typedef struct sk_uv {
  void *loop;
  const void *backend_fd; /* uv_backend_fd, and so on */
  const void *backend_timeout;
  const void *update_time;
  const void *now;
  const void *walk;
  const void *handle_size;
  const void *is_active;
  const void *unref;
  const void *close;
  const void *prepare_init;
  const void *prepare_start;
  const void *idle_init;
  const void *idle_start;
  const void *idle_stop;
  const void *poll_init;
  const void *poll_start;
  const void *poll_stop;
} sk_uv;

/* Functions of sk_python_function. */
enum {
  SK_PYTHON_SEND,         /* send(handle, head, fields, body, flags): sk_res_send of bytes; head may be None */
  SK_PYTHON_WRITE,        /* write(handle, head, fields, data): sk_res_write */
  SK_PYTHON_STREAM,       /* stream(handle, head, fields, data): sk_res_stream */
  SK_PYTHON_SEND_MESSAGE, /* send_message(handle, data, flags): sk_ws_send */
  SK_PYTHON_SCOPE,        /* scope(handle): what sk_req_scope says, as bytes */
  SK_PYTHON_SCOPE_TEXT,   /* scope_text(handle): the same as str, of latin-1 */
  /* send_with(handle, status, content_type, gives_way, headers, body, flags): a whole response. Status, content type (None for
   * none; it may give way to one among the headers) and the pairs of a list or tuple (or None) are str or bytes. Gives a result as
   * sk_res_send, or None, with nothing sent, for what only Python can judge: other types, text outside ASCII. */
  SK_PYTHON_SEND_WITH,
  /* Of a handle, as str; RuntimeError when the request is gone. */
  SK_PYTHON_METHOD,
  SK_PYTHON_URL,
  SK_PYTHON_FULL_URL,
  SK_PYTHON_HEADER,    /* header(handle, name): a field's first value, or None */
  SK_PYTHON_PARAMETER, /* parameter(handle, index): as it was sent, or None */
  /* body_here(handle): the whole body as bytes, if all of it has arrived and it was not asked for yet, else None; it counts as
   * read. */
  SK_PYTHON_BODY_HERE,
  /* begin(loop, task, coroutine): steps a coroutine in the name of a task and in a copy of the context; None when it finished, else
   * (what it waits for, the context). */
  SK_PYTHON_BEGIN,
  SK_PYTHON_ASGI_SCOPE,   /* asgi_scope(handle), its self a tuple as SK_ASGI_* numbers it: (SK_SCOPE_*, the scope) */
  SK_PYTHON_ASGI_REQUEST, /* asgi_request(handle), likewise: serves a request, and returns 0 */
  /* publish(app, topic, data, opcode) and publish_from(handle, topic, data, opcode, exclude_self): sk_app_publish and
   * sk_ws_publish. Gives a bool, or None, with nothing sent, for what only Python can judge: among it publish_from of an app whose
   * topics are watched. After sk_python_websocket. */
  SK_PYTHON_PUBLISH,
  SK_PYTHON_PUBLISH_FROM,
  SK_PYTHON_PUMP, /* pump(): sk_loop_pump, and gives None */
  /* wait(loop, context, milliseconds): handles what the native loop has to do in a context, until that time is over (-1 for never),
   * the loop of asyncio has something to run or a new timer, or the descriptor that sk_loop_lead has told is ready. Gives a sum of
   * SK_WAIT_*. Signals are handled in between, and what their handlers raise is raised. */
  SK_PYTHON_WAIT,
  /* asgi_receive(what receive belongs to): the message http.request when all of the body is here; a list of futures to wait in,
   * before it is called again, when all was received; http.disconnect when the response is complete; else the exchange that goes
   * on. */
  SK_PYTHON_ASGI_RECEIVE,
  /* prepare_task(runner): the task in whose name the next coroutine begins, made if there is none. After
   * sk_python_continuation. */
  SK_PYTHON_PREPARE_TASK,
  /* carry_on(runner, coroutine, waits, report, finish): lets a coroutine go on that was begun in the name of that task, which it
   * returns; `waits` is what begin returned, the others as a continuation has them. Likewise. */
  SK_PYTHON_CARRY_ON,
  SK_PYTHON_FUNCTIONS /* how many there are */
};

/* Items of the list by which a runner of coroutines is known. */
enum {
  SK_RUNNER_LOOP,      /* the event loop */
  SK_RUNNER_TASK,      /* the task in whose name the next coroutine begins, or None */
  SK_RUNNER_SPARE,     /* its continuation, or None */
  SK_RUNNER_BEGUN,     /* list of continuations of other tasks, in whose name coroutines were begun that are still to go on */
  SK_RUNNER_RUNNING,   /* set of continuations whose coroutines have not ended */
  SK_RUNNER_TASK_TYPE, /* task_type(continuation, loop=loop): makes a task */
  SK_RUNNER_ITSELF,    /* has the two methods below */
  SK_RUNNER_ITEMS      /* how many there are */
};
#define SK_RUNNER_PREPARE "prepare" /* (): what prepare_task does, in all cases */
#define SK_RUNNER_ADOPT "adopt"     /* (coroutine, waits, report, finish): what carry_on does, in all cases */

/* By how many wake-ups one of the two loops of a thread must be ahead for it to be the one that waits: changing costs some system
 * calls. */
#define SK_WAIT_AHEAD 32
/* What SK_PYTHON_WAIT gives. */
#define SK_WAIT_BUSY (-1) /* alone: it was called from inside itself, and did nothing */
#define SK_WAIT_PARTNER 1 /* the descriptor is ready */
#define SK_WAIT_TURN 2    /* for each turn in which the native loop had something to do */

/* Items of the tuple that tells how an ASGI application is served. */
enum {
  SK_ASGI_TEMPLATE,     /* the scope, with what is the same for all requests */
  SK_ASGI_ROOT_PATH,    /* bytes */
  SK_ASGI_ENDS,         /* dict of what sk_req_scope says of client and server to a tuple of both */
  SK_ASGI_DECODE,       /* decode(bytes): the path, unescaped */
  SK_ASGI_OTHER_SCHEME, /* str */
  SK_ASGI_FACTS,        /* facts(handle, extensions): adds what is known of TLS, or of a proxy; or None */
  SK_ASGI_APPLICATION,  /* application(scope, receive, send) */
  SK_ASGI_RECEIVER,     /* receive(what receive belongs to): a coroutine of the next message, by SK_PYTHON_ASGI_RECEIVE */
  SK_ASGI_STATUS_LINES, /* dict of int to bytes */
  /* take_over(handle, SK_ASGI_PHASE_*, head, fields, SK_SCOPE_*, the application's task or None, the list of those who wait in
   * receive or None): the exchange that goes on. */
  SK_ASGI_TAKE_OVER,
  SK_ASGI_RUNNER, /* list of SK_RUNNER_ITEMS: who runs the coroutines */
  SK_ASGI_LIVE,   /* dict of handles to functions that give the exchange which gets its events */
  SK_ASGI_WAKE,   /* wake(list): lets those go on who wait in receive */
  SK_ASGI_ITEMS   /* how many there are */
};

/* What the response of an exchange of ASGI waits for, or how it ended. */
enum {
  SK_ASGI_PHASE_START,    /* its start message */
  SK_ASGI_PHASE_HEAD,     /* its first body message */
  SK_ASGI_PHASE_STREAM,   /* more of its body */
  SK_ASGI_PHASE_TRAILERS, /* its trailers */
  SK_ASGI_PHASE_DONE,     /* nothing: it is complete */
  SK_ASGI_PHASE_LEFT,     /* nothing: the client left */
  SK_ASGI_PHASE_FAILED    /* nothing: the application failed */
};
/* Methods of what take_over returns. */
#define SK_ASGI_RECEIVE "receive"
#define SK_ASGI_SEND "send"
#define SK_ASGI_ON_ERROR "on_error"           /* (what the application raised) */
#define SK_ASGI_ON_RETURN "on_return"         /* () */
#define SK_ASGI_RUN_AWAITABLE "run_awaitable" /* (what the application returned, which is no coroutine) */
#define SK_ASGI_CARRY_ON_IN_PYTHON "carry_on" /* (the coroutine, what it waits for, its context) */
#define SK_ASGI_COMPLETE "complete"           /* () */
#define SK_ASGI_STREAMED "streamed"           /* (result of sk_res_stream): an awaitable */
#define SK_ASGI_ENDED "ended"                 /* (result of sk_res_send, the last piece): an awaitable */

/* Whether the library belongs to the interpreter of this number, as CPython counts them: the first that asks has it until the
 * process ends, as objects of one interpreter must not be used by another, and outlive no interpreter. Thread-safe. */
SK_API int32_t sk_python_claim(int64_t interpreter);
/* Before any other sk_python_* and before objects are given as handlers; again only by the same interpreter. */
SK_API void sk_python_load(const sk_python *api);
/* A new reference to a function that CPython calls without ctypes between, or NULL with an exception set. `self` is what the
 * function belongs to, or None. */
SK_API sk_object *sk_python_function(int32_t which, sk_object *self);
/* A new reference to a method `send` for a type of websockets, or NULL with an exception set. What the facts refer to is kept for
 * ever. Only where something is known of reference counts. */
SK_API sk_object *sk_python_websocket(const sk_ws_python *facts, sk_object *type);
/* Likewise a method `end` for a type of responses. */
SK_API sk_object *sk_python_response(const sk_exchange_python *facts, sk_object *type);
/* Likewise a type of continuations, once; only with `iterator_send`, too. */
SK_API sk_object *sk_python_continuation(const sk_continuation_python *facts);

/* Lets a loop of libuv drive the loop of this thread, one that has no such driver yet, in a context of CPython. NULL when libuv or
 * the kernel refuses. */
SK_API void *sk_uv_attach(const sk_uv *uv, const void *context);
/* From now on libuv is what waits, as another loop may come to drive this one. */
SK_API void sk_uv_give_way(void *driver);
/* Ends it, before the loop of libuv is closed; or after that, without touching libuv. */
SK_API void sk_uv_detach(void *driver, int32_t is_closed);

/* ---- WSGI by the C API of CPython ---------------------------------------------------------------------------------
 * What follows is after sk_python_load, with the interpreter's lock. Objects are kept alive by the caller. */

/* How far the response to a request is when Python takes over. */
enum {
  SK_WSGI_STARTED = 1, /* its head was sent */
  SK_WSGI_OVER = 2,    /* all of it was sent */
  SK_WSGI_LEFT = 4,    /* the client left */
  SK_WSGI_DONE = 8     /* the application is done with it, too */
};

/* Why Python goes on with the blocks of a result. */
enum {
  SK_WSGI_GO_ON, /* a block is not as simple as most are, or the response cannot end as simply */
  SK_WSGI_FULL,  /* the connection takes no more for now */
  SK_WSGI_TURN   /* it is others' turn */
};

typedef struct sk_wsgi_options {
  const void *application;      /* called with environ and start_response; NULL to hand all requests to on_request */
  const void *base;             /* dict: what all environs have in common */
  const void *field_key;        /* gives the key of a field's name, or None for fields that are not passed on */
  const void *add_facts;        /* (handle, environ): adds what a header of the PROXY protocol said; NULL where there is none */
  const char *root_path;        /* where the application is mounted, in latin-1; NULL when no path can be below it */
  size_t root_path_length;      /* 0 for no mount point */
  int64_t turn_ns;              /* after so long a response lets others have their turn */
  int32_t secure;               /* 1 for https */
  int32_t piece_bytes;          /* larger blocks are sent by Python */
  const void *new_input;        /* (bytes): wsgi.input of a body that is here as a whole */
  const void *file_wrapper;     /* the type of results that Python sends */
  const void *on_request;       /* (handle, SK_SCOPE_BODY or 0, environ, input or None): requests whose body is still to come */
  const void *new_exchange;     /* (handle, environ, input or None, head or None, fields, length or None, SK_WSGI_*, what the body
                                 * still owes of that length or None): a tuple of an object, start_response and write, which go on
                                 * from there */
  const void *on_result;        /* (that object, what the application returned) */
  const void *on_blocks;        /* (that object, what the application returned, its iterator or None after its end, the next block
                                 * or None, why) */
  const void *on_error;         /* (that object, the error that the application raised) */
  const void *on_failure;       /* (handle or 0, an error of any of these) */
  const void *get_running_loop; /* asyncio._get_running_loop, asyncio._set_running_loop */
  const void *set_running_loop;
} sk_wsgi_options;

/* NULL with an exception set. The root path is copied. */
SK_API void *sk_wsgi_create(const sk_wsgi_options *options);
/* Routes the requests of all methods whose path matches a pattern; see sk_app_route. */
SK_API void sk_wsgi_route(sk_app *app, const char *pattern, size_t pattern_length, void *wsgi);
/* After the apps it was routed to. */
SK_API void sk_wsgi_destroy(void *wsgi);

#endif
