/* What compilers call for arrays and structures (Run-time ABI for the Arm Architecture, 4.3.4). A program with a C library
 * has them from there. Compiled with -fno-tree-loop-distribute-patterns, or the loops would call themselves. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (count-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t <= f) {
        return memcpy(to, from, count);
    }
    while (count-- > 0) {
        t[count] = f[count];
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    unsigned char *t = to;
    while (count-- > 0) {
        *t++ = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *one, const void *other, size_t count)
{
    const unsigned char *a = one, *b = other;
    for (; count > 0; count--, a++, b++) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}

#define COPY(name, function)                                  \
    void name(void *to, const void *from, size_t count);      \
    void name(void *to, const void *from, size_t count)       \
    {                                                         \
        function(to, from, count);                            \
    }
#define CLEAR(name)                                           \
    void name(void *to, size_t count);                        \
    void name(void *to, size_t count)                         \
    {                                                         \
        memset(to, 0, count);                                 \
    }
/* The last two arguments are exchanged. */
#define SET(name)                                             \
    void name(void *to, size_t count, int value);             \
    void name(void *to, size_t count, int value)              \
    {                                                         \
        memset(to, value, count);                             \
    }

COPY(__aeabi_memcpy, memcpy)
COPY(__aeabi_memcpy4, memcpy)
COPY(__aeabi_memcpy8, memcpy)
COPY(__aeabi_memmove, memmove)
COPY(__aeabi_memmove4, memmove)
COPY(__aeabi_memmove8, memmove)
CLEAR(__aeabi_memclr)
CLEAR(__aeabi_memclr4)
CLEAR(__aeabi_memclr8)
SET(__aeabi_memset)
SET(__aeabi_memset4)
SET(__aeabi_memset8)
