/* What happens where memory ends. The shim is compiled without exceptions: operator new must not fail, so what may be large is
 * asked for before, and a reserve covers what is small. */
#ifndef SK_HTTP_MEMORY_H
#define SK_HTTP_MEMORY_H

#include <cstddef>
#include <string>

namespace sk {

/* Puts aside what small allocations get when there is nothing else; once for each process, and anew after it was used. Cheap. */
void keepReserve();

/* Room for so many more bytes, so that appending them allocates nothing; false when there is no memory, and nothing has changed. */
bool makeRoom(std::string &text, size_t more);

} // namespace sk
#endif
